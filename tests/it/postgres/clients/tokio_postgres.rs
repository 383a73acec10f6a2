//! tokio-postgres: queries that overtake each other's answers, portals, COPY, notifications, cancellation.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a client that fails shall say so and die")]
#![expect(clippy::wildcard_enum_match_arm, reason = "the library may add messages")]

use std::{env, error::Error, fmt::Debug, sync::Arc, time::Duration};

use futures_util::{SinkExt, StreamExt, TryStreamExt, future, pin_mut, stream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_postgres::{AsyncMessage, Client, Config, SimpleQueryMessage, config::SslMode, types::ToSql};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_rustls::rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};

type Done = Result<(), Box<dyn Error>>;

fn config() -> Config {
    let of = |name: &str| env::var(name).expect("libpq's variables");
    let mut config = Config::new();
    config.host(of("PGHOST")).port(of("PGPORT").parse().expect("a port"));
    config.user(of("PGUSER")).password(of("PGPASSWORD")).dbname(of("PGDATABASE"));
    // The library has no words for what is verified: its connector always verifies everything.
    config.ssl_mode(if of("PGSSLMODE") == "disable" { SslMode::Disable } else { SslMode::Require });
    config
}

/// Trusts whom libpq's variable names, and nobody without it.
fn tls() -> MakeRustlsConnect {
    let mut roots = RootCertStore::empty();
    if let Some(path) = env::var_os("PGSSLROOTCERT") {
        let certificate = CertificateDer::from_pem_file(path).expect("a certificate");
        roots.add(certificate).expect("an authority");
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let config = config.with_safe_default_protocol_versions().expect("versions");
    MakeRustlsConnect::new(config.with_root_certificates(roots).with_no_client_auth())
}

async fn connect() -> Result<(Client, UnboundedReceiver<String>), Box<dyn Error>> {
    let (client, mut connection) = config().connect(tls()).await?;
    let (tell, told) = unbounded_channel();
    tokio::spawn(async move {
        let mut messages = stream::poll_fn(move |cx| connection.poll_message(cx));
        while let Some(Ok(message)) = messages.next().await {
            let text = match message {
                AsyncMessage::Notice(notice) => format!("notice: {}", notice.message()),
                AsyncMessage::Notification(news) => format!("{}: {}", news.channel(), news.payload()),
                _ => "something else".to_owned(),
            };
            let _ = tell.send(text);
        }
    });
    Ok((client, told))
}

fn say(what: impl Debug) {
    println!("{what:?}");
}

async fn values(client: &Client) -> Done {
    client.batch_execute("CREATE TABLE things (id int PRIMARY KEY, name text, raw bytea, at date)").await?;
    let insert = client.prepare("INSERT INTO things VALUES ($1, $2, $3, '2026-01-31')").await?;
    // All of them are on their way before the first is answered.
    let rows: Vec<(i32, Option<String>, Vec<u8>)> =
        (0..400).map(|n| (n, (n % 3 > 0).then(|| format!("name {n}")), vec![7; n as usize % 5])).collect();
    let parameters: Vec<[&(dyn ToSql + Sync); 3]> =
        rows.iter().map(|row| [&row.0 as _, &row.1 as _, &row.2 as _]).collect();
    let all = parameters.iter().map(|row| client.execute(&insert, row));
    say(future::try_join_all(all).await?.iter().sum::<u64>());
    for row in client.query("SELECT id, name, raw FROM things WHERE id < $1 ORDER BY id", &[&5_i32]).await? {
        say((row.get::<_, i32>(0), row.get::<_, Option<&str>>(1), row.get::<_, &[u8]>(2)));
    }
    for message in client
        .simple_query("SELECT 1 AS a; SELECT id FROM things WHERE id < 3; DELETE FROM things WHERE id = 399")
        .await?
    {
        match message {
            SimpleQueryMessage::Row(row) => say(row.get(0)),
            SimpleQueryMessage::CommandComplete(count) => say(count),
            other => say(matches!(other, SimpleQueryMessage::RowDescription(_))),
        }
    }
    Ok(())
}

async fn overtaking(client: &Client) -> Done {
    let fine = client.query_one("SELECT 'before'", &[]);
    let broken = client.query_one("SELECT 1/0", &[]);
    let after = client.query_one("SELECT 'after'", &[]);
    let (fine, broken, after) = future::join3(fine, broken, after).await;
    let code = broken.err().and_then(|error| error.code().cloned());
    say((fine?.get::<_, &str>(0), code, after?.get::<_, &str>(0)));
    let typed = client.query_typed("SELECT $1 + 1", &[(&41_i32, tokio_postgres::types::Type::INT4)]).await?;
    say(typed[0].get::<_, i32>(0));
    Ok(())
}

async fn portals(client: &mut Client) -> Done {
    let transaction = client.transaction().await?;
    let statement = transaction.prepare("SELECT id FROM things ORDER BY id").await?;
    let portal = transaction.bind(&statement, &[]).await?;
    for limit in [3, 7, 0] {
        let rows = transaction.query_portal(&portal, limit).await?;
        say((rows.len(), rows.first().map(|row| row.get::<_, i32>(0))));
    }
    transaction.rollback().await?;
    Ok(())
}

async fn copies(client: &Client) -> Done {
    let sink = client.copy_in("COPY things (id, name) FROM STDIN").await?;
    pin_mut!(sink);
    for n in 1000..1200 {
        sink.send(bytes(format!("{n}\tcopied\n"))).await?;
    }
    say(sink.finish().await?);
    let out = client.copy_out("COPY (SELECT id, name FROM things ORDER BY id) TO STDOUT").await?;
    let parts: Vec<_> = out.try_collect().await?;
    say((parts.len(), parts.concat().len()));
    // One that is given up halfway.
    let sink = client.copy_in("COPY things (id, name) FROM STDIN").await?;
    pin_mut!(sink);
    sink.send(bytes("5000\tgone\n".to_owned())).await?;
    Ok(())
}

fn bytes(text: String) -> bytes::Bytes {
    text.into()
}

async fn cancellation(client: &Client) -> Done {
    let token = client.cancel_token();
    let cancel = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        token.cancel_query(tls()).await
    };
    let (slept, cancelled) = future::join(client.simple_query("SELECT pg_sleep(60)"), cancel).await;
    cancelled?;
    say(slept.err().and_then(|error| error.code().cloned()));
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Done {
    let (mut client, mut told) = connect().await?;
    values(&client).await?;
    overtaking(&client).await?;
    portals(&mut client).await?;
    copies(&client).await?;
    say(client.query_one("SELECT count(*) FROM things", &[]).await?.get::<_, i64>(0));
    cancellation(&client).await?;
    client
        .batch_execute("LISTEN news; DO $$BEGIN RAISE NOTICE 'hello'; END$$; NOTIFY news, 'read all about it'")
        .await?;
    say((told.recv().await, told.recv().await));
    say("the last line");
    Ok(())
}
