// graphql-ws as its documentation has it: signs in, subscribes, pays, sees the change, goes
// away, and comes back with its cursor. Prints what it saw as JSON.

import { randomUUID } from "node:crypto";
import { createClient } from "graphql-ws";
import WebSocket from "ws";

const bank = process.env.BANK_PAGE;
const PATIENCE_MS = 30_000;

setTimeout(() => {
  console.error("it takes too long");
  process.exit(1);
}, 2 * PATIENCE_MS);

async function ask(query, variables, token) {
  const headers = { "content-type": "application/json" };
  if (token) headers.authorization = `Bearer ${token}`;
  const body = JSON.stringify({ query, variables });
  const response = await fetch(`${bank}/graphql`, { method: "POST", headers, body });
  const answer = await response.json();
  if (answer.errors) throw new Error(JSON.stringify(answer.errors));
  return answer.data;
}

async function openAccount() {
  const query = `mutation ($id: CommandId!, $name: String!) {
    openAccount(input: { commandId: $id, userName: $name, password: "a long enough secret",
                         bearer: true }) {
      __typename ... on SignedIn { sessionToken user { account { iban } } } } }`;
  const id = randomUUID();
  const variables = { id, name: `node-${id.slice(0, 8)}` };
  const deadline = Date.now() + PATIENCE_MS;
  while (Date.now() < deadline) {
    const { openAccount: opened } = await ask(query, variables);
    if (opened.__typename === "SignedIn") return opened;
  }
  throw new Error("no account was opened");
}

const deposit = (token, amount) =>
  ask(
    `mutation ($id: CommandId!, $amount: Amount!) {
      deposit(input: { commandId: $id, amount: $amount }) { __typename } }`,
    { id: randomUUID(), amount },
    token,
  );

// Sees so many changes after the cursor; `onConnected` runs once the subscription is there.
async function follow(token, iban, after, count, onConnected) {
  const client = createClient({
    url: `${bank.replace("http", "ws")}/graphql-ws`,
    webSocketImpl: WebSocket,
    connectionParams: { authorization: `Bearer ${token}` },
    retryAttempts: 0,
  });
  const query = `subscription ($iban: Iban!, $after: String) {
    transactions(iban: $iban, after: $after) { version changedBy cursor } }`;
  const changes = client.iterate({ query, variables: { iban, after } });
  const seen = [];
  const paying = onConnected();
  while (seen.length < count) {
    const { value } = await changes.next();
    if (value.errors) throw new Error(JSON.stringify(value.errors));
    seen.push(value.data.transactions);
  }
  await paying;
  await changes.return();
  await client.dispose();
  return seen;
}

const { sessionToken, user } = await openAccount();
const { iban } = user.account;
const first = await follow(sessionToken, iban, "0", 1, () => deposit(sessionToken, 1000));
await deposit(sessionToken, 2000);
const cursor = first.at(-1).cursor;
const resumed = await follow(sessionToken, iban, cursor, 2, () => deposit(sessionToken, 3000));
console.log(JSON.stringify({ first, resumed }));
process.exit(0);
