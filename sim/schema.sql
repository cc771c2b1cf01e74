-- The trace of one run. This file is its manual; PRAGMA user_version is its number, and an older trace is refused with a sentence.
--
-- Times are nanoseconds of virtual time since the run began. Numbers of 64 bits without sign (tokens, hashes, seed) are stored as
-- the signed number of the same bits. Hosts are numbered as in `entity`: nodes first, then clients.
--
-- Levels. full: everything. sampled: as full, but only every 64th machine event. summary: no machine events, no drops and forwards one
-- by one; all else. off: there is no database.

PRAGMA user_version = 1;

-- One row: all that is needed to repeat the run, and how it ended.
CREATE TABLE run (
  id         INTEGER PRIMARY KEY CHECK (id = 1),
  scenario   TEXT NOT NULL,            -- bare name of the file
  title      TEXT NOT NULL,            -- its first line
  seed       INTEGER NOT NULL,
  build      TEXT NOT NULL,            -- who made the trace
  level      TEXT NOT NULL,
  until_ns   INTEGER NOT NULL,
  overrides  TEXT NOT NULL,            -- --set, one a line
  cities     INTEGER NOT NULL,         -- hash of the table of cities
  finished   INTEGER NOT NULL,         -- 0: the run was cut off; what follows is as of the last second
  events     INTEGER NOT NULL,         -- machine events
  digest     TEXT NOT NULL,            -- 32 hex digits
  verdict    TEXT NOT NULL             -- good, finding, unfinished
);

-- Scenario (0), what it includes, and the map, whole.
CREATE TABLE file (id INTEGER PRIMARY KEY, name TEXT NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL);

-- Hosts.
CREATE TABLE entity (
  host     INTEGER PRIMARY KEY,
  kind     TEXT NOT NULL,              -- relay, client
  name     TEXT NOT NULL,              -- fra/1, acme/12/3
  region   TEXT NOT NULL,              -- of a client: its home
  city     TEXT NOT NULL,
  key      TEXT NOT NULL               -- public, hex
);

-- What was drawn from the seed for a line of the scenario.
CREATE TABLE draw (line INTEGER NOT NULL, word TEXT NOT NULL, key TEXT NOT NULL, name TEXT NOT NULL, value INTEGER NOT NULL);

-- What the timeline did.
CREATE TABLE fault (t INTEGER NOT NULL, verb TEXT NOT NULL, host INTEGER NOT NULL, line INTEGER NOT NULL);

-- A client that a fault took from `src` (host) came to `dst`; NULL: never. since: the fault; t - since is its failover time.
CREATE TABLE move (t INTEGER NOT NULL, client INTEGER NOT NULL, src INTEGER, dst INTEGER, since INTEGER NOT NULL);

-- What the machines' tracer said: logins, leaves, mesh links, watchers, write timeouts, drops, forwards, states.
CREATE TABLE note (
  t INTEGER NOT NULL, host INTEGER NOT NULL, kind TEXT NOT NULL, token INTEGER NOT NULL, key TEXT, key2 TEXT, a INTEGER NOT NULL, b INTEGER NOT NULL, text TEXT
);

-- Machine events. content: hash of what the digest took of its bytes; n: bytes; replay compares all of it.
CREATE TABLE event (
  seq INTEGER PRIMARY KEY, t INTEGER NOT NULL, host INTEGER NOT NULL, kind TEXT NOT NULL, token INTEGER NOT NULL, n INTEGER NOT NULL, content INTEGER NOT NULL
);

-- Each second and node: connections of clients, packets delivered, forwarded and dropped so far, CPU and TLS handshakes of that second.
CREATE TABLE second_node (
  t INTEGER NOT NULL, host INTEGER NOT NULL, conns INTEGER NOT NULL, delivered INTEGER NOT NULL, forwarded INTEGER NOT NULL, dropped INTEGER NOT NULL,
  cpu_ns INTEGER NOT NULL, handshake_ns INTEGER NOT NULL, handshakes_waiting INTEGER NOT NULL,
  PRIMARY KEY (t, host)
) WITHOUT ROWID;

-- Each second: the digest so far, which replay compares, and where the clients are.
CREATE TABLE second_run (
  t INTEGER PRIMARY KEY, events INTEGER NOT NULL, digest TEXT NOT NULL, connected INTEGER NOT NULL, zombies INTEGER NOT NULL, away INTEGER NOT NULL
);

-- Expectations and goals, with what was measured.
CREATE TABLE expect (line INTEGER NOT NULL, text TEXT NOT NULL, measured TEXT NOT NULL, ok INTEGER NOT NULL, goal INTEGER NOT NULL);

-- Checks that rang.
CREATE TABLE finding (t INTEGER NOT NULL, rule TEXT NOT NULL, text TEXT NOT NULL);

-- Failover times: client, pair. NULL: it falls on those that never came back.
CREATE TABLE failover (
  who TEXT PRIMARY KEY, n INTEGER NOT NULL, never INTEGER NOT NULL, min INTEGER, p50 INTEGER, p90 INTEGER, p99 INTEGER, max INTEGER
);
