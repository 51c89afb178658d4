//! SQL written by hand with typed parameters, prepared once per connection.
//!
//! diesel's own `sql_query` is never cached: it costs a second round trip each time.

use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::serialize::ToSql;
use diesel::sql_types::{HasSqlType, Untyped};

/// One statement; each `?` in its text is a parameter.
pub(crate) struct Statement {
    text: &'static str,
    parameters: Vec<Box<dyn QueryFragment<Pg> + Send>>,
}

struct Parameter<S, V> {
    value: V,
    sql_type: std::marker::PhantomData<fn() -> S>,
}

impl<S, V> QueryFragment<Pg> for Parameter<S, V>
where
    Pg: HasSqlType<S>,
    V: ToSql<S, Pg>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_bind_param::<S, V>(&self.value)
    }
}

/// A statement with this text.
pub(crate) fn statement(text: &'static str) -> Statement {
    Statement {
        text,
        parameters: Vec::new(),
    }
}

impl Statement {
    /// Gives the next parameter.
    pub(crate) fn bind<S, V>(mut self, value: V) -> Statement
    where
        S: 'static,
        Pg: HasSqlType<S>,
        V: ToSql<S, Pg> + Send + 'static,
    {
        self.parameters.push(Box::new(Parameter::<S, V> {
            value,
            sql_type: std::marker::PhantomData,
        }));
        self
    }
}

impl QueryFragment<Pg> for Statement {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let mut pieces = self.text.split('?');
        out.push_sql(pieces.next().unwrap_or_default());
        for (parameter, piece) in self.parameters.iter().zip(pieces) {
            parameter.walk_ast(out.reborrow())?;
            out.push_sql(piece);
        }
        Ok(())
    }
}

impl QueryId for Statement {
    type QueryId = ();

    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Statement {
    type SqlType = Untyped;
}
