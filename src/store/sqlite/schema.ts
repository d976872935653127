// The tables, as an append-only list of migrations; `user_version` counts those that a file has had.
//
// What costs is distinct pages dirtied per commit, not rows. So the usual delivery in random order dirties two: the journal's last page
// and its run's page. Hence:
// - the event is the delivery, and holds its key; when its run is purged the key goes to `past_keys`, and is asked for there;
// - most runs get one delivery under a key: `runs.keyed` leads to it. Only further ones, and those at custom tokens, are in the index of
//   keys; a first one whose run is purged enters it by being given its scope;
// - one journal for all runs, only ever appended to, without an index by run: `prev` chains a run's events, `runs.head` is the last;
// - `runs` holds what every run's events change and nothing else; what few runs have is elsewhere, behind a bit of `flags`;
// - `runs` rows do not grow: a row that outgrows its full page splits it. So no number in them begins as 0 or 1, which take no byte;
// - a hook closes with its run: neither a delivery nor a run's end writes `hooks` or `tokens`;
// - the index of runs with work to do holds only those, so it stays a page or two.

export const migrations: readonly string[] = [
  `
create table journal(
  id integer primary key,         -- of a hook_received: the delivery's number
  run integer not null,
  seq integer not null,
  prev integer,                   -- the run's event before this one
  kind integer not null,          -- core/event-codec.ts
  position integer,
  turn integer,
  at integer not null,
  head text,
  body,                           -- text or blob, as it came
  scope text,                     -- of a keyed delivery that is in the index: the address within which its key is taken once
  key text,
  digest text
);
create unique index journal_keys on journal(scope, key) where scope is not null;

create table runs(
  run integer primary key,
  head integer not null,          -- its last event
  seq integer not null,
  input integer not null,         -- seq of the last input
  wake integer not null,
  status integer not null,        -- 2 open, 3 blocked, then ended: 4 completed, 5 failed, 6 cancelled
  fence integer not null,
  worker integer,
  loads integer not null,
  steps integer not null,
  flags integer not null,         -- table.ts
  keyed integer not null          -- the first delivery under a key at a minted token; the run's first event until there is one
);
create index runs_with_work on runs(run) where status = 2 and (wake = 1 or steps > 0);
create index runs_blocked on runs(run) where status = 3;

create table run_details(         -- of runs that are flagged
  run integer primary key,
  cancel_requested_at integer,
  blocked text
);

create table origins(
  run integer primary key,
  first integer not null,         -- its run_started
  id text not null,
  key text not null,
  workflow text not null,
  code_id text not null,
  created_at integer not null
);
create unique index origins_id on origins(id);
create unique index origins_key on origins(key);

create table hooks(
  run integer not null,
  position integer not null,
  event integer not null,         -- its hook_created
  kid text,
  expires_at integer,
  holder text,
  closed_by integer,              -- 0 disposed, 1 timeout
  closed_at integer,
  primary key (run, position)
) without rowid;

create table tokens(              -- the hook that took a custom token last; the token is free unless that hook is open
  token text primary key,
  run integer not null,
  position integer not null
) without rowid;

create table answers(
  delivery integer primary key,
  deadline_at integer not null,
  decided_by text,
  status integer,
  headers text,
  body blob
);

create table timers(
  run integer not null,
  position integer not null,
  due_at integer not null,
  is_deadline integer not null,
  primary key (run, position)
) without rowid;
create index timers_due on timers(due_at, run, position);

create table watchers(            -- runs that await the end of the run with this id, which need not exist yet
  awaited text not null,
  run integer not null,
  position integer not null,
  primary key (awaited, run, position)
) without rowid;

create table set_aside(           -- each (run, code id) is tried once
  run integer not null,
  code_id text not null,
  primary key (run, code_id)
) without rowid;

create table workers(
  worker integer primary key,
  id text not null unique
);

create table fingerprints(kid text primary key, fingerprint text not null) without rowid;
`,
  // Deliveries that no run has, and what outlives a purged run. None of it is written by a usual delivery.
  `
create table numbers(             -- the highest given out, also where the row that had it is gone
  id integer primary key,
  event integer not null,
  run integer not null
);
insert into numbers values (1, 0, 0);

create table held(
  delivery integer primary key,
  at integer not null,
  until integer not null,
  reason text not null,           -- early, unclaimed, closed, invalid, key_reused
  scope text not null,            -- its address, as in journal.scope
  key text,
  digest text,
  head text,
  body,
  size integer not null,
  detail text
);
create index held_scope on held(scope, delivery);
create index held_until on held(until);

create table held_room(           -- what is held, counted: early ones and refused ones apart
  is_early integer primary key,
  rows integer not null,
  bytes integer not null
);
insert into held_room values (0, 0, 0), (1, 0, 0);
create trigger held_in after insert on held begin
  update held_room set rows = rows + 1, bytes = bytes + new.size where is_early = (new.reason = 'early');
end;
create trigger held_out after delete on held begin
  update held_room set rows = rows - 1, bytes = bytes - old.size where is_early = (old.reason = 'early');
end;
create trigger held_unclaimed after update of reason on held begin
  update held_room set rows = rows - 1, bytes = bytes - old.size where is_early = (old.reason = 'early');
  update held_room set rows = rows + 1, bytes = bytes + new.size where is_early = (new.reason = 'early');
end;

create table past_keys(           -- of deliveries whose run is purged
  scope text not null,
  key text not null,
  delivery integer not null,
  digest text,
  at integer not null,
  primary key (scope, key)
) without rowid;
create index past_keys_at on past_keys(at);

create table purging(             -- runs that nobody sees any more, whose events go in portions, the last first
  run integer primary key,
  head integer not null
);

-- A key's address must outlive the run's number.
update journal set scope = (select o.key from origins o where o.run = journal.run) || ':' || position
where scope is not null and scope not like '=%';
`,
  // Requests that runs pass on stand once, in the journal of the run that received them.
  `
create table passed_on(           -- a value in the journal of \`run\` refers to a delivery of \`owner\`
  owner integer not null,
  run integer not null,
  primary key (owner, run)
) without rowid;
create index passed_on_run on passed_on(run);
`,
  // Labels, by which people find runs.
  `
create table attributes(          -- of runs that are flagged
  run integer not null,
  name text not null,
  value text not null,
  primary key (run, name)
) without rowid;
create index attributes_value on attributes(name, value, run);
`,
  // Streams of runs. No callback writes them. A chunk dirties its stream's row and last page.
  `
create table streams(
  stream integer primary key,
  run integer not null,
  name text not null,
  chunks integer not null,        -- how many it has
  bytes integer not null,         -- of all of them
  is_closed integer not null
);
create unique index streams_name on streams(run, name);

create table chunks(
  stream integer not null,
  number integer not null,        -- from 0
  body text not null,
  primary key (stream, number)
) without rowid;

create table streamed_on(         -- a value in the journal of \`run\` gives a stream of \`owner\` to read
  owner integer not null,
  run integer not null,
  primary key (owner, run)
) without rowid;
create index streamed_on_run on streamed_on(run);
`,
  // What runs publish, last by key: to walk the chain back costs as much as happened since.
  `
create table published(
  run integer not null,
  key text not null,
  event integer not null,         -- its value_published
  primary key (run, key)
) without rowid;
`,
];
