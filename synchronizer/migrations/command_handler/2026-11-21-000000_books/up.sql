-- The books of the bank: accounts, ledger, outcomes, and what is still owed to the topics.

create table account (
    iban            text    primary key,
    command_id      uuid    not null unique,
    -- BLAKE3 of the token; the token itself is nowhere in this database.
    token_digest    bytea   not null check (octet_length(token_digest) = 32),
    balance_cents   bigint  not null default 0,
    limit_cents     bigint  not null,
    version         bigint  not null default 0 check (version >= 0),
    constraint account_within_limit check (balance_cents >= limit_cents)
) with (fillfactor = 60);

-- One row per command, for ever: its claim and its answer.
create table outcome (
    command_id       uuid    primary key,
    request_hash     bytea   not null check (octet_length(request_hash) = 16),
    kind             text    not null check (kind in ('opening', 'account_creation', 'money_transfer')),
    -- Null when confirmed, else the reason as it stands in the record.
    rejection        text,
    -- The payer's version the decision saw; null when no own account paid.
    observed_version bigint,
    source_topic     text    not null,
    source_partition integer not null,
    source_offset    bigint  not null,
    -- The records this command gave, encoded once: a retry gets the same bytes.
    frames           bytea   not null
);

-- Two rows per confirmed transfer, summing to zero. Accounts are own IBANs, `cash`,
-- and whatever names the accounts of other banks; only own accounts have versions.
create table ledger_entry (
    command_id          uuid   not null references outcome,
    account             text   not null,
    version             bigint,
    delta_cents         bigint not null check (delta_cents <> 0),
    balance_after_cents bigint,
    primary key (command_id, account),
    constraint own_accounts_have_versions check ((version is null) = (balance_after_cents is null))
);
create unique index ledger_entry_version on ledger_entry (account, version) where version is not null;

-- How far each command topic has been worked off, and under which assignment.
create table consumer_offset (
    topic       text    not null,
    partition   integer not null,
    next_offset bigint  not null check (next_offset >= 0),
    owner_epoch bigint  not null,
    primary key (topic, partition)
) with (fillfactor = 60);

-- Batches whose records are decided but not known to be in Kafka yet.
create table emission_debt (
    debt_id      bigint generated always as identity primary key,
    -- The database session that owes it; it holds an advisory lock on this number.
    owner        bigint not null,
    -- Whose frames are owed, in order.
    command_ids  uuid[] not null,
    -- Dead letters owed, encoded; null when there are none.
    dead_letters bytea
);

create sequence debt_owner as bigint;

-- Moves offsets, or stops the transaction: its commit is already on the wire behind this call.
create function advance_offsets(topics text[], partitions integer[], next_offsets bigint[], epochs bigint[])
returns void language plpgsql as $$
declare
    moved integer;
begin
    update consumer_offset as held
       set next_offset = given.next_offset
      from unnest(topics, partitions, next_offsets, epochs) as given(topic, partition, next_offset, epoch)
     where held.topic = given.topic
       and held.partition = given.partition
       and held.owner_epoch = given.epoch
       and held.next_offset <= given.next_offset;
    get diagnostics moved = row_count;
    if moved <> cardinality(topics) then
        raise exception 'partitions are owned by another assignment' using errcode = 'BK001';
    end if;
end;
$$;
