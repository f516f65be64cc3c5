CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS workspace (id INTEGER PRIMARY KEY, settings TEXT NOT NULL, created_at INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS access_key (
  id TEXT PRIMARY KEY, workspace INTEGER NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL, hash TEXT NOT NULL UNIQUE,
  hint TEXT NOT NULL, created_at INTEGER NOT NULL, last_used_at INTEGER
);
CREATE TABLE IF NOT EXISTS session (
  hash TEXT PRIMARY KEY, workspace INTEGER NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS session_key (session TEXT PRIMARY KEY, key TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS profile (
  id INTEGER PRIMARY KEY, workspace INTEGER NOT NULL, due_at INTEGER, created_at INTEGER NOT NULL,
  last_seen_at INTEGER NOT NULL, email TEXT, name TEXT, user_id TEXT, state BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS profile_due ON profile (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS profile_seen ON profile (workspace, last_seen_at, id);
CREATE TABLE IF NOT EXISTS identifier (
  workspace INTEGER NOT NULL, kind INTEGER NOT NULL, value TEXT NOT NULL, profile INTEGER NOT NULL,
  PRIMARY KEY (workspace, kind, value)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS identifier_profile ON identifier (profile);
CREATE TABLE IF NOT EXISTS merge (
  workspace INTEGER NOT NULL, source INTEGER NOT NULL, target INTEGER NOT NULL, at INTEGER NOT NULL, reason TEXT NOT NULL,
  PRIMARY KEY (workspace, source)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS merged_identifier (
  workspace INTEGER NOT NULL, source INTEGER NOT NULL, kind INTEGER NOT NULL, value TEXT NOT NULL,
  PRIMARY KEY (workspace, source, kind, value)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS split (
  workspace INTEGER NOT NULL, message_id TEXT NOT NULL, source INTEGER NOT NULL, target INTEGER, at INTEGER NOT NULL,
  reason TEXT NOT NULL, moved INTEGER NOT NULL, kept INTEGER NOT NULL, shared INTEGER NOT NULL,
  PRIMARY KEY (workspace, message_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS given_event (
  position INTEGER PRIMARY KEY, stored INTEGER NOT NULL, profile INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS membership (
  workspace INTEGER NOT NULL, segment TEXT NOT NULL, profile INTEGER NOT NULL, since INTEGER NOT NULL, cause TEXT NOT NULL,
  PRIMARY KEY (workspace, segment, profile)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS membership_profile ON membership (profile);
CREATE TABLE IF NOT EXISTS membership_history (
  id INTEGER PRIMARY KEY, workspace INTEGER NOT NULL, segment TEXT NOT NULL, profile INTEGER NOT NULL, at INTEGER NOT NULL,
  entered INTEGER NOT NULL, cause TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS membership_history_segment ON membership_history (workspace, segment, id);
CREATE INDEX IF NOT EXISTS membership_history_at ON membership_history (workspace, at, segment, entered);
CREATE TABLE IF NOT EXISTS definition (
  workspace INTEGER NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL, name TEXT NOT NULL,
  body TEXT NOT NULL, status TEXT NOT NULL, author TEXT NOT NULL, at INTEGER NOT NULL, current INTEGER NOT NULL,
  PRIMARY KEY (workspace, kind, id, version)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS consent (
  workspace INTEGER NOT NULL, profile INTEGER NOT NULL, topic TEXT NOT NULL, subscribed INTEGER NOT NULL, at INTEGER NOT NULL,
  source TEXT NOT NULL, PRIMARY KEY (workspace, profile, topic)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS suppression (
  workspace INTEGER NOT NULL, address TEXT NOT NULL, hint TEXT NOT NULL, reason TEXT NOT NULL, at INTEGER NOT NULL,
  PRIMARY KEY (workspace, address)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entry (
  workspace INTEGER NOT NULL, id TEXT NOT NULL, journey TEXT NOT NULL, version INTEGER NOT NULL, profile INTEGER NOT NULL,
  node TEXT NOT NULL, key TEXT NOT NULL, entered_at INTEGER NOT NULL, due_at INTEGER, exited_at INTEGER, exit_reason TEXT,
  PRIMARY KEY (workspace, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS entry_journey ON entry (workspace, journey, entered_at);
CREATE INDEX IF NOT EXISTS entry_profile ON entry (profile);
CREATE INDEX IF NOT EXISTS entry_open ON entry (workspace, journey, version) WHERE exited_at IS NULL;
CREATE TABLE IF NOT EXISTS passed (
  workspace INTEGER NOT NULL, journey TEXT NOT NULL, node TEXT NOT NULL, count INTEGER NOT NULL,
  PRIMARY KEY (workspace, journey, node)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS message (
  number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, send_key TEXT NOT NULL UNIQUE, workspace INTEGER NOT NULL,
  profile INTEGER NOT NULL, kind TEXT NOT NULL, topic TEXT NOT NULL, journey TEXT, entry TEXT, node TEXT, template TEXT NOT NULL,
  recipient TEXT NOT NULL, subject TEXT NOT NULL, state TEXT NOT NULL, reason TEXT, attempt INTEGER NOT NULL,
  due_at INTEGER NOT NULL, created_at INTEGER NOT NULL, sent_at INTEGER, opened_at INTEGER, clicked_at INTEGER,
  data TEXT NOT NULL, trace TEXT NOT NULL, content TEXT, raw BLOB
);
CREATE INDEX IF NOT EXISTS message_open ON message (due_at) WHERE state IN ('planned', 'deferred');
CREATE INDEX IF NOT EXISTS message_in_doubt ON message (due_at) WHERE state = 'in_doubt';
CREATE INDEX IF NOT EXISTS message_state ON message (workspace, state, number);
CREATE INDEX IF NOT EXISTS message_profile ON message (profile, number);
CREATE TABLE IF NOT EXISTS message_event (
  id INTEGER PRIMARY KEY, message TEXT NOT NULL, name TEXT NOT NULL, at INTEGER NOT NULL, detail TEXT NOT NULL, actor TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS message_event_message ON message_event (message);
CREATE TABLE IF NOT EXISTS emitted (id INTEGER PRIMARY KEY, message_id TEXT NOT NULL UNIQUE, payload BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS quarantine (
  id INTEGER PRIMARY KEY, workspace INTEGER NOT NULL, received_at INTEGER NOT NULL, source TEXT NOT NULL,
  reasons TEXT NOT NULL, body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS quarantine_received ON quarantine (workspace, received_at);
CREATE TABLE IF NOT EXISTS item (
  workspace INTEGER NOT NULL, catalog TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (workspace, catalog, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS item_change (
  id INTEGER PRIMARY KEY, workspace INTEGER NOT NULL, item TEXT NOT NULL, name TEXT NOT NULL, detail TEXT NOT NULL, at INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS coupon_pool (
  workspace INTEGER NOT NULL, id TEXT NOT NULL, pattern TEXT, most INTEGER, low_at INTEGER NOT NULL, expires_at INTEGER,
  created_at INTEGER NOT NULL, PRIMARY KEY (workspace, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS coupon (
  workspace INTEGER NOT NULL, pool TEXT NOT NULL, code TEXT NOT NULL, position INTEGER NOT NULL, owner TEXT, profile INTEGER,
  message TEXT, assigned_at INTEGER, redeemed_at INTEGER, order_id TEXT, PRIMARY KEY (workspace, pool, code)
) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS coupon_owner ON coupon (workspace, pool, owner) WHERE owner IS NOT NULL;
CREATE INDEX IF NOT EXISTS coupon_free ON coupon (workspace, pool, position, code) WHERE owner IS NULL;
CREATE INDEX IF NOT EXISTS coupon_code ON coupon (workspace, code);
CREATE INDEX IF NOT EXISTS coupon_profile ON coupon (profile) WHERE profile IS NOT NULL;
CREATE TABLE IF NOT EXISTS asset (
  workspace INTEGER NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (workspace, name)
);
CREATE TABLE IF NOT EXISTS position (consumer TEXT PRIMARY KEY, position INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS idempotency (
  workspace INTEGER NOT NULL, key TEXT NOT NULL, body INTEGER NOT NULL, status INTEGER NOT NULL, answer TEXT NOT NULL,
  at INTEGER NOT NULL, PRIMARY KEY (workspace, key)
) WITHOUT ROWID;
