"""gql as its documentation has it: signs in, subscribes, pays, sees the change, goes away,
and comes back with its cursor. Prints what it saw as JSON."""

import asyncio
import json
import os
import uuid

from gql import Client, gql
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.aiohttp_websockets import AIOHTTPWebsocketsTransport
from gql.transport.websockets import WebsocketsTransport

BANK = os.environ["BANK_PAGE"]
PATIENCE_SECONDS = 30

OPEN_ACCOUNT = """mutation ($id: CommandId!, $name: String!) {
    openAccount(input: { commandId: $id, userName: $name, password: "a long enough secret",
                         bearer: true }) {
      __typename ... on SignedIn { sessionToken user { account { iban } } } } }"""
DEPOSIT = """mutation ($id: CommandId!, $amount: Amount!) {
    deposit(input: { commandId: $id, amount: $amount }) { __typename } }"""
FOLLOW = """subscription ($iban: Iban!, $after: String) {
    transactions(iban: $iban, after: $after) { version changedBy cursor } }"""


def request(text, **variables):
    document = gql(text)
    document.variable_values = variables
    return document


async def ask(document, token=None):
    headers = {"authorization": f"Bearer {token}"} if token else {}
    transport = AIOHTTPTransport(url=f"{BANK}/graphql", headers=headers)
    async with Client(transport=transport) as session:
        return await session.execute(document)


async def open_account():
    command_id = str(uuid.uuid4())
    document = request(OPEN_ACCOUNT, id=command_id, name=f"python-{command_id[:8]}")
    while True:
        opened = (await ask(document))["openAccount"]
        if opened["__typename"] == "SignedIn":
            return opened["sessionToken"], opened["user"]["account"]["iban"]


async def deposit(token, amount):
    await ask(request(DEPOSIT, id=str(uuid.uuid4()), amount=amount), token)


# It has two transports. This one looks for the answer's header with capitals, which servers
# need not write, and takes an older protocol without: so it is told the protocol.
WEBSOCKETS = {"subprotocols": [WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL]}


async def follow(token, iban, after, count, amount, transport, **options):
    """Sees so many changes after the cursor, one of them a deposit made meanwhile."""
    transport = transport(
        url=BANK.replace("http", "ws") + "/graphql-ws",
        init_payload={"authorization": f"Bearer {token}"},
        **options,
    )
    seen = []
    async with Client(transport=transport) as session:
        changes = session.subscribe(request(FOLLOW, iban=iban, after=after))
        paying = asyncio.create_task(deposit(token, amount))
        async for change in changes:
            seen.append(change["transactions"])
            if len(seen) == count:
                break
        await paying
        await changes.aclose()
    return seen


async def main():
    token, iban = await open_account()
    first = await follow(token, iban, "0", 1, 1000, AIOHTTPWebsocketsTransport)
    await deposit(token, 2000)
    cursor = first[-1]["cursor"]
    resumed = await follow(token, iban, cursor, 2, 3000, WebsocketsTransport, **WEBSOCKETS)
    print(json.dumps({"first": first, "resumed": resumed}))


asyncio.run(asyncio.wait_for(main(), 2 * PATIENCE_SECONDS))
