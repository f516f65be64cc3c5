# A table of DuckDB's own, and one answer for each line of SQL. Started by `xtask bench preview`.
import sys

import duckdb

files, threads = sys.argv[1], int(sys.argv[2])
connection = duckdb.connect()
connection.execute("SET enable_progress_bar = false")
connection.execute(f"SET threads = {threads}")
connection.execute(
    "CREATE TABLE loaded AS SELECT profile_id::INTEGER AS profile_id, name, epoch_us(timestamp) AS moment, "
    "json_extract_string(properties, '$.category') AS category "
    f"FROM read_parquet('{files}', hive_partitioning = false) WHERE name <> 'identify' ORDER BY timestamp"
)
connection.execute("CREATE TYPE names AS ENUM (SELECT DISTINCT name FROM loaded)")
connection.execute("CREATE TYPE categories AS ENUM (SELECT DISTINCT category FROM loaded WHERE category IS NOT NULL)")
connection.execute(
    "CREATE TABLE events AS SELECT profile_id, name::names AS name, moment, category::categories AS category FROM loaded"
)
connection.execute("DROP TABLE loaded")
print("ready", duckdb.__version__, flush=True)
for line in sys.stdin:
    print(connection.execute(line).fetchone()[0], flush=True)
