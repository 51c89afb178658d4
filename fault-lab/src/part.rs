//! What can be broken: the parts of a bank and the connections between them.

use std::fmt;

use serde::Serialize;

/// A process of the bank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// The command handler.
    Handler,
    /// The GraphQL endpoint.
    Gateway,
    /// The command generator.
    Generator,
    /// The broker.
    Kafka,
    /// The schema registry.
    Registry,
    /// The database server of all databases.
    Postgres,
}

impl Part {
    /// All of them.
    pub const ALL: [Part; 6] = [
        Part::Handler,
        Part::Gateway,
        Part::Generator,
        Part::Kafka,
        Part::Registry,
        Part::Postgres,
    ];

    /// Name in scenarios.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Part::Handler => "handler",
            Part::Gateway => "gateway",
            Part::Generator => "generator",
            Part::Kafka => "kafka",
            Part::Registry => "registry",
            Part::Postgres => "postgres",
        }
    }

    /// Name of its program, its log and its process under supervision.
    #[must_use]
    pub fn program(self) -> &'static str {
        match self {
            Part::Handler => "command-handler",
            Part::Gateway => "graphql-endpoint",
            Part::Generator => "command-generator",
            Part::Kafka => "kafka",
            Part::Registry => "registry",
            Part::Postgres => "postgres",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A connection with our proxy in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Link {
    /// The handlers and the broker.
    HandlerKafka,
    /// The handlers and their database.
    HandlerPostgres,
    /// The gateways and the broker.
    GatewayKafka,
    /// The gateways and their database.
    GatewayPostgres,
    /// The clients and the gateway.
    ClientGateway,
    /// All services and the registry.
    ServicesRegistry,
}

impl Link {
    /// All of them.
    pub const ALL: [Link; 6] = [
        Link::HandlerKafka,
        Link::HandlerPostgres,
        Link::GatewayKafka,
        Link::GatewayPostgres,
        Link::ClientGateway,
        Link::ServicesRegistry,
    ];

    /// Name in scenarios.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Link::HandlerKafka => "handler-kafka",
            Link::HandlerPostgres => "handler-postgres",
            Link::GatewayKafka => "gateway-kafka",
            Link::GatewayPostgres => "gateway-postgres",
            Link::ClientGateway => "client-gateway",
            Link::ServicesRegistry => "services-registry",
        }
    }
}

impl fmt::Display for Link {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// What a fault works on; two faults never work on the same at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// A process.
    Part(Part),
    /// A connection.
    Link(Link),
    /// What lies in the topics.
    Topics,
}
