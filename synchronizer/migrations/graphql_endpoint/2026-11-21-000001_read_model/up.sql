-- People who may sign in. A customer has one account; iban and token come when the bank has opened it.
CREATE TABLE customer (
    user_name           text PRIMARY KEY,
    password_hash       text NOT NULL,
    role                text NOT NULL CHECK (role IN ('CUSTOMER', 'EMPLOYEE')),
    -- The command id the client signed up with: the same id again is the same sign-up.
    sign_up_command_id  uuid UNIQUE,
    -- The command the bank was asked with; a fresh one after each refusal.
    creation_command_id uuid UNIQUE,
    creation_attempts   integer NOT NULL DEFAULT 1,
    commanded_at        timestamptz NOT NULL DEFAULT now(),
    iban                text UNIQUE,
    token_ciphertext    bytea,
    created_at          timestamptz NOT NULL DEFAULT now(),
    CHECK ((iban IS NULL) = (token_ciphertext IS NULL)),
    CHECK ((role = 'CUSTOMER') = (creation_command_id IS NOT NULL))
);
CREATE INDEX customer_waiting ON customer (commanded_at) WHERE iban IS NULL AND role = 'CUSTOMER';

-- Only the SHA-256 of a session's token is kept.
CREATE TABLE session (
    token_hash bytea PRIMARY KEY,
    user_name  text NOT NULL REFERENCES customer ON DELETE CASCADE,
    expires_at timestamptz NOT NULL
);
CREATE INDEX session_by_user_name ON session (user_name);
CREATE INDEX session_expiry ON session (expires_at);

-- Balance is the new balance of the change with the highest version.
CREATE TABLE account (
    iban          text PRIMARY KEY,
    balance_cents bigint NOT NULL,
    version       bigint NOT NULL CHECK (version >= 0),
    opened_at     timestamptz NOT NULL,
    changed_at    timestamptz,
    limit_cents   bigint NOT NULL DEFAULT -50000
) WITH (fillfactor = 70);

CREATE TABLE account_transaction (
    iban              text NOT NULL,
    version           bigint NOT NULL CHECK (version >= 1),
    new_balance_cents bigint NOT NULL,
    changed_by_cents  bigint NOT NULL,
    from_to           text NOT NULL,
    description       text NOT NULL,
    command_id        uuid,
    occurred_at       timestamptz NOT NULL,
    source_partition  integer NOT NULL,
    source_offset     bigint NOT NULL,
    PRIMARY KEY (iban, version)
);

-- Commands given through the API, so that each can be asked for later and never means two things.
CREATE TABLE command (
    command_id   uuid PRIMARY KEY,
    user_name    text NOT NULL,
    request_hash bytea NOT NULL,
    kind         text NOT NULL CHECK (kind IN ('OPEN_ACCOUNT', 'DEPOSIT', 'TRANSFER')),
    status       text NOT NULL CHECK (status IN ('PENDING', 'CONFIRMED', 'REJECTED')),
    reason       text,
    created_at   timestamptz NOT NULL DEFAULT now()
);

-- How far the read model has come; moved only together with its effects, by the owner of the epoch.
CREATE TABLE projection_offset (
    topic       text NOT NULL,
    partition   integer NOT NULL,
    next_offset bigint NOT NULL,
    epoch       bigint NOT NULL,
    PRIMARY KEY (topic, partition)
) WITH (fillfactor = 50);
