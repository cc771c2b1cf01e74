-- The trace of one run. This file is its manual, and `.schema` in any trace shows it again: each column says what it holds.
--
-- user_version is the number of this layout and grows when a name or a meaning changes: a trace of another is refused with a sentence.
-- application_id ("derp") tells a trace from every other database.
--
-- Times are nanoseconds of virtual time since the run began. Numbers of 64 bits without sign (seed, tokens, hashes) are stored as the signed
-- number of the same bits. Hosts are numbered as in `entity`: nodes first, then clients. Where a table has no key, rowid is the order in
-- which things happened. Rows are committed each virtual second: a run that is killed leaves all but its last second.
--
-- Levels (derpsim run --trace). full: everything. sampled: as full, but of the machine events only those whose seq is a multiple of 64.
-- summary: no machine events, and of the notes only login, login-failed, leave, mesh, watcher, write-timeout. off: there is no database.
--
-- Questions to begin with: at the end of this file.

PRAGMA application_id = 1684370032;
PRAGMA user_version = 2;

-- One row: all that is needed to repeat the run, and how it ended.
CREATE TABLE run (
  id         INTEGER PRIMARY KEY CHECK (id = 1), -- there is one
  scenario   TEXT NOT NULL,            -- bare name of the file
  title      TEXT NOT NULL,            -- its first line, '' if that is no comment
  seed       INTEGER NOT NULL,         -- --seed, 64 bits without sign
  build      TEXT NOT NULL,            -- who made the trace
  level      TEXT NOT NULL,            -- full, sampled, summary
  until_ns   INTEGER NOT NULL,         -- when the run was to end
  overrides  TEXT NOT NULL,            -- --set, one a line
  plant      TEXT NOT NULL,            -- --plant, a fault planted to see a check ring; '' without
  cities     INTEGER NOT NULL,         -- hash of the table of cities
  finished   INTEGER NOT NULL,         -- 1, or 0: the run was cut off, and what follows is as of its last second
  events     INTEGER NOT NULL,         -- machine events so far
  digest     TEXT NOT NULL,            -- of these, 32 hex digits
  verdict    TEXT NOT NULL             -- good, finding, unfinished
);

-- What was read, whole.
CREATE TABLE file (
  id         INTEGER PRIMARY KEY,      -- 0: the scenario; then what it includes; last the map
  name       TEXT NOT NULL,            -- from the scenario's folder on, or from that of the scenarios that ship
  kind       TEXT NOT NULL,            -- scenario, include, map
  text       TEXT NOT NULL             -- as read
);

-- Hosts.
CREATE TABLE entity (
  host       INTEGER PRIMARY KEY,      -- from 0
  kind       TEXT NOT NULL,            -- relay, client
  name       TEXT NOT NULL,            -- fra/1: region and node; acme/12/3: tailnet, copy and client
  region     TEXT NOT NULL,            -- of a client: its home at the start
  city       TEXT NOT NULL,            -- where it stands; of a relay the nearest of the table
  key        TEXT NOT NULL             -- its public key, 64 hex digits
);

-- What was drawn from the seed for a line of the scenario.
CREATE TABLE draw (
  line       INTEGER NOT NULL,         -- of the scenario, from 1
  word       TEXT NOT NULL,            -- the statement
  key        TEXT NOT NULL,            -- its option
  name       TEXT NOT NULL,            -- for whom
  value      INTEGER NOT NULL          -- in the unit of the option, times in ns
);

-- What the timeline did.
CREATE TABLE fault (
  t          INTEGER NOT NULL,         -- when
  verb       TEXT NOT NULL,            -- crash, crash silent, crash silent refuse, restart, close, leave, join
  host       INTEGER NOT NULL,         -- to whom
  line       INTEGER NOT NULL          -- of the scenario that says so
);

-- A client that a fault took from its node came to another, or never did.
CREATE TABLE move (
  t          INTEGER NOT NULL,         -- when it was logged in again; of one that never was, the end of the run
  client     INTEGER NOT NULL,         -- host
  src        INTEGER,                  -- host of the node that it lost
  dst        INTEGER,                  -- host of the node that it came to; NULL: never
  since      INTEGER NOT NULL          -- the fault; t - since is its failover time
);

-- Two clients of whom a fault took one from its node heard of each other again, or never did.
CREATE TABLE pair (
  t          INTEGER,                  -- when the first packet was delivered; NULL: none was
  a          INTEGER NOT NULL,         -- host
  b          INTEGER NOT NULL,         -- host, a < b
  since      INTEGER NOT NULL          -- when either sent the first packet after the fault; t - since is their failover time
);

-- What the machines' tracer said.
CREATE TABLE note (
  t          INTEGER NOT NULL,         -- when
  host       INTEGER NOT NULL,         -- who
  kind       TEXT NOT NULL,            -- accepted, login, login-failed, ready, leave, drop, forward, watcher, mesh, forwarder, ..
  token      INTEGER NOT NULL,         -- of the connection, 0: of none
  key        TEXT,                     -- whom it is about; of a packet its source
  key2       TEXT,                     -- of a packet its destination
  a          INTEGER NOT NULL,         -- these two: as enum note_kind in ref/machine.h says of each kind; mesh: a = link,
  b          INTEGER NOT NULL,         -- b = 0 down, 1 dialling, 2 up, 3 itself; state: a = new, b = old
  text       TEXT                      -- drop: the reason; login-failed, leave: why; mesh: to where
);

-- Machine events, each before its machine saw it: replay compares all of it.
CREATE TABLE event (
  seq        INTEGER PRIMARY KEY,      -- from 1
  t          INTEGER NOT NULL,         -- when
  host       INTEGER NOT NULL,         -- whose machine
  kind       TEXT NOT NULL,            -- start, accepted, dialed, secured, bytes, drained, closed, datagram, answer, timer, command
  token      INTEGER NOT NULL,         -- of the connection, 0: of none
  n          INTEGER NOT NULL,         -- bytes; of closed its cause (enum close_cause in ref/machine.h)
  content    INTEGER NOT NULL          -- hash of what the digest took of the bytes
);

-- Each second and node.
CREATE TABLE second_node (
  t          INTEGER NOT NULL,         -- the second's end
  host       INTEGER NOT NULL,         -- the node
  conns      INTEGER NOT NULL,         -- clients registered now
  delivered  INTEGER NOT NULL,         -- packets to its clients so far
  forwarded  INTEGER NOT NULL,         -- packets to other nodes so far
  dropped    INTEGER NOT NULL,         -- packets so far
  cpu_ns     INTEGER NOT NULL,         -- spent on events in this second
  handshake_ns INTEGER NOT NULL,       -- spent on TLS handshakes in this second
  handshakes_waiting INTEGER NOT NULL, -- or being served now
  PRIMARY KEY (t, host)
) WITHOUT ROWID;

-- Each second: the digest so far, which replay compares, and where the clients are.
CREATE TABLE second_run (
  t          INTEGER PRIMARY KEY,      -- the second's end
  events     INTEGER NOT NULL,         -- machine events so far
  digest     TEXT NOT NULL,            -- of these, 32 hex digits
  connected  INTEGER NOT NULL,         -- clients logged in and alive at both ends
  zombies    INTEGER NOT NULL,         -- clients that hold a connection which leads nowhere
  away       INTEGER NOT NULL          -- clients on another than the first node of their order
);

-- Expectations and goals, in the order of the scenario; written at the end.
CREATE TABLE expect (
  line       INTEGER NOT NULL,         -- of the scenario, from 1
  text       TEXT NOT NULL,            -- as written
  measured   TEXT NOT NULL,            -- for people
  ok         INTEGER NOT NULL,         -- 1: it held
  goal       INTEGER NOT NULL          -- 1: a goal, which may be missed
);

-- Checks that rang; the first hundred.
CREATE TABLE finding (
  t          INTEGER NOT NULL,         -- when
  rule       TEXT NOT NULL,            -- which check
  text       TEXT NOT NULL             -- what it saw
);

-- How long failover took; written at the end. client: from the fault to ServerInfo on another connection. pair: from the first packet that either
-- sends after the fault to the first that is delivered. Pairs in two parts: first, where that was the same packet; later, where that first
-- packet was lost (or overtaken), so that the time is that until the pair sends the next.
CREATE TABLE failover (
  who        TEXT PRIMARY KEY,         -- client, pair, pair first, pair later
  n          INTEGER NOT NULL,         -- samples, those that never came back included
  never      INTEGER NOT NULL,         -- that had not come back at the end of the run
  min        INTEGER,                  -- ns; in this column and the next NULL: there is none, or it falls on those that never came back
  p50        INTEGER,                  -- nearest rank, to 1/1024 above
  p90        INTEGER,                  -- likewise
  p99        INTEGER,                  -- likewise
  max        INTEGER                   -- exact
);

-- Questions to begin with, each with a total order; .ci/cli asks them all.
--
-- How did it end?
--   > SELECT scenario, seed, level, finished, verdict, events, digest FROM run;
-- Who was where in which second?
--   > SELECT s.t / 1000000000 AS second, e.name, s.conns FROM second_node s JOIN entity e USING (host) ORDER BY s.t, s.host;
-- The slowest ten to come back:
--   > SELECT e.name, (m.t - m.since) / 1000000 AS ms, m.dst IS NULL AS never FROM move m JOIN entity e ON e.host = m.client
--   >   ORDER BY never DESC, m.t - m.since DESC, m.client, m.since LIMIT 10;
-- Which packets were dropped, where and why? (full, sampled)
--   > SELECT e.name, n.text AS reason, count(*) AS packets FROM note n JOIN entity e USING (host) WHERE n.kind = 'drop'
--   >   GROUP BY n.host, n.text ORDER BY packets DESC, n.host, n.text;
-- The busiest seconds, in 1/1000 of one core:
--   > SELECT s.t / 1000000000 AS second, e.name, (s.cpu_ns + s.handshake_ns) / 1000000 AS per_mille
--   >   FROM second_node s JOIN entity e USING (host) ORDER BY s.cpu_ns + s.handshake_ns DESC, s.t, s.host LIMIT 10;
-- What did one client's machine see? (full)
--   > SELECT v.seq, v.t, v.kind, v.n FROM event v JOIN entity e USING (host) WHERE e.name = 'acme/1/1' ORDER BY v.seq;
-- What was demanded and not met?
--   > SELECT line, text, measured FROM expect WHERE ok = 0 ORDER BY rowid;
