// PostgreSQL JDBC: statements, batches, server-side prepared statements, row limits, COPY, large objects, errors.

import java.io.StringReader;
import java.io.StringWriter;
import java.math.BigDecimal;
import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Types;
import java.util.Arrays;
import java.util.Properties;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;
import org.postgresql.largeobject.LargeObject;
import org.postgresql.largeobject.LargeObjectManager;

public class Jdbc {
    static void say(Object... what) {
        StringBuilder line = new StringBuilder();
        for (Object one : what) line.append(line.length() == 0 ? "" : " ").append(one);
        System.out.println(line);
    }

    static Connection connect(String mode) throws SQLException {
        Properties properties = new Properties();
        properties.setProperty("user", System.getenv("PGUSER"));
        properties.setProperty("password", System.getenv("PGPASSWORD"));
        properties.setProperty("sslmode", System.getenv("PGSSLMODE"));
        String authority = System.getenv("PGSSLROOTCERT");
        if (authority != null) properties.setProperty("sslrootcert", authority);
        properties.setProperty("preferQueryMode", mode);
        properties.setProperty("prepareThreshold", "3");
        String place = System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/" + System.getenv("PGDATABASE");
        return DriverManager.getConnection("jdbc:postgresql://" + place, properties);
    }

    static void values(Connection conn) throws SQLException {
        try (Statement statement = conn.createStatement()) {
            statement.execute("CREATE TABLE things (id int PRIMARY KEY, name text, sum numeric, raw bytea, tags text[], at date)");
        }
        try (PreparedStatement insert = conn.prepareStatement("INSERT INTO things VALUES (?, ?, ?, ?, ?, ?)")) {
            for (int n = 1; n <= 300; n++) {
                insert.setInt(1, n);
                insert.setString(2, n % 7 == 0 ? null : "name " + n);
                insert.setBigDecimal(3, new BigDecimal(n).movePointLeft(2));
                insert.setBytes(4, new byte[n % 5]);
                insert.setArray(5, conn.createArrayOf("text", new String[] {"a", null}));
                insert.setNull(6, Types.DATE);
                insert.addBatch();
            }
            say("batch", Arrays.stream(insert.executeBatch()).sum());
        }
        for (int round = 0; round < 6; round++) {
            try (PreparedStatement find = conn.prepareStatement("SELECT name, sum, raw, tags FROM things WHERE id = ?")) {
                find.setInt(1, round + 5);
                try (ResultSet rows = find.executeQuery()) {
                    while (rows.next())
                        say(rows.getString(1), rows.getBigDecimal(2), rows.getBytes(3).length, rows.getArray(4));
                }
            }
        }
    }

    static void limits(Connection conn) throws SQLException {
        conn.setAutoCommit(false);
        try (PreparedStatement all = conn.prepareStatement("SELECT id FROM things ORDER BY id")) {
            all.setFetchSize(17);
            long sum = 0;
            try (ResultSet rows = all.executeQuery()) {
                while (rows.next()) sum += rows.getInt(1);
            }
            all.setMaxRows(4);
            int count = 0;
            try (ResultSet rows = all.executeQuery()) {
                while (rows.next()) count++;
            }
            say("fetched in parts", sum, count);
        }
        conn.commit();
        conn.setAutoCommit(true);
    }

    static void errors(Connection conn) throws SQLException {
        try (Statement statement = conn.createStatement()) {
            for (String sql : new String[] {"SELECT 1/0", "SELECT nonsense", "INSERT INTO things (id) VALUES (1)", "SELEC"}) {
                try {
                    statement.execute(sql);
                } catch (SQLException error) {
                    say(error.getSQLState(), error.getMessage());
                }
            }
            statement.addBatch("UPDATE things SET name = 'x' WHERE id = 1");
            statement.addBatch("UPDATE things SET id = 2 WHERE id = 1");
            statement.addBatch("UPDATE things SET name = 'y' WHERE id = 1");
            try {
                statement.executeBatch();
            } catch (BatchUpdateException error) {
                say(Arrays.toString(error.getUpdateCounts()), error.getSQLState());
            }
            try (ResultSet rows = statement.executeQuery("SELECT name FROM things WHERE id = 1")) {
                while (rows.next()) say(rows.getString(1));
            }
            statement.execute("DO $$BEGIN RAISE WARNING 'careful'; END$$");
            say("warning", statement.getWarnings().getMessage());
            statement.setQueryTimeout(1);
            try {
                statement.execute("SELECT pg_sleep(60)");
            } catch (SQLException error) {
                say("cancelled", error.getSQLState());
            }
        }
    }

    static void copies(Connection conn) throws Exception {
        CopyManager copies = conn.unwrap(PGConnection.class).getCopyAPI();
        say("in", copies.copyIn("COPY things (id, name) FROM STDIN", new StringReader("1001\ta\n1002\tb\n")));
        StringWriter out = new StringWriter();
        say("out", copies.copyOut("COPY (SELECT id, name FROM things WHERE id > 298) TO STDOUT CSV", out), out);
        try {
            copies.copyIn("COPY things (id) FROM STDIN", new StringReader("x\n"));
        } catch (SQLException error) {
            say(error.getSQLState());
        }
    }

    // Function calls of the protocol's own.
    static void largeObjects(Connection conn) throws SQLException {
        conn.setAutoCommit(false);
        LargeObjectManager manager = conn.unwrap(PGConnection.class).getLargeObjectAPI();
        long oid = manager.createLO(LargeObjectManager.READ | LargeObjectManager.WRITE);
        LargeObject object = manager.open(oid, LargeObjectManager.WRITE);
        object.write(new byte[100_000]);
        object.close();
        object = manager.open(oid, LargeObjectManager.READ);
        say("large object", object.read(200_000).length);
        object.close();
        manager.delete(oid);
        conn.commit();
        conn.setAutoCommit(true);
    }

    public static void main(String[] words) throws Exception {
        try (Connection conn = connect("extended")) {
            values(conn);
            limits(conn);
            errors(conn);
            copies(conn);
            largeObjects(conn);
        }
        for (String mode : new String[] {"simple", "extendedForPrepared", "extendedCacheEverything"}) {
            try (Connection conn = connect(mode); PreparedStatement query = conn.prepareStatement("SELECT ? || count(*) FROM things")) {
                query.setString(1, mode + " ");
                for (int round = 0; round < 5; round++)
                    try (ResultSet rows = query.executeQuery()) {
                        while (rows.next()) say(rows.getString(1));
                    }
            }
        }
        say("the last line");
    }
}
