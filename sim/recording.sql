-- What entered the machine of a relay on real sockets (derp-relay --record), and a digest of what came out. This file is its manual.
--
-- It holds the relay's private key, the mesh key, the seed of all that it draws, and every byte that reached it: keep it as private as those.
-- user_version is the number of this layout; application_id ("dere") tells a recording from a trace (schema.sql) and from other databases.
-- Times are nanoseconds since START. Numbers of 64 bits without sign are stored as the signed number of the same bits. Rows are committed each
-- second and each 4 MiB: what is killed leaves all but the last of that; of a crash the event in which it happened is there too.

PRAGMA application_id = 1684370021;
PRAGMA user_version = 1;

-- One row.
CREATE TABLE recording (
  id         INTEGER PRIMARY KEY CHECK (id = 1), -- there is one
  machine    TEXT NOT NULL,            -- relay
  build      TEXT NOT NULL,            -- who made it
  ended      TEXT NOT NULL,            -- '': it was cut off; stopped; limit (the size it might have); crash (of the relay)
  events     INTEGER NOT NULL,         -- in all, once it has ended
  digest     TEXT NOT NULL             -- of these and their actions, 32 hex digits, once it has ended
);

-- What the machine saw, in order. data is laid out by sim/event_code.c; of bytes it is the bytes.
CREATE TABLE event (
  seq        INTEGER PRIMARY KEY,      -- from 1, without a gap
  t          INTEGER NOT NULL,         -- when
  kind       TEXT NOT NULL,            -- start, accepted, dialed, secured, bytes, drained, closed, datagram, answer, timer, command
  token      INTEGER NOT NULL,         -- of the connection, socket or question; 0: of none
  turn       INTEGER NOT NULL,         -- 1: the list of actions was empty before it
  data       BLOB NOT NULL,            -- everything else that the event says
  content    INTEGER NOT NULL,         -- hash of the columns before
  actions    INTEGER,                  -- that came out; NULL: the relay crashed in this event
  digest     INTEGER                   -- of all events and actions so far
);
