-- A database of version 3. Once that is released never edit it: it stands for files in the field.
PRAGMA application_id = 1114534760;
PRAGMA user_version = 3;
CREATE TABLE jail (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    protocol TEXT,
    ports TEXT,
    bans_total INTEGER,
    failures_total INTEGER
) STRICT;
CREATE TABLE ban (
    jail INTEGER NOT NULL REFERENCES jail,
    offender TEXT NOT NULL,
    since INTEGER NOT NULL,
    until INTEGER,
    failures INTEGER NOT NULL,
    earlier INTEGER NOT NULL,
    origin TEXT NOT NULL,
    lines TEXT,
    PRIMARY KEY (jail, offender)
) STRICT, WITHOUT ROWID;
CREATE TABLE failing (
    jail INTEGER NOT NULL REFERENCES jail,
    offender TEXT NOT NULL,
    entries BLOB NOT NULL,
    lines TEXT,
    due INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (jail, offender)
) STRICT, WITHOUT ROWID;
CREATE TABLE history (
    jail INTEGER NOT NULL REFERENCES jail,
    offender TEXT NOT NULL,
    bans INTEGER NOT NULL,
    last INTEGER NOT NULL,
    PRIMARY KEY (jail, offender)
) STRICT, WITHOUT ROWID;
CREATE TABLE position (
    log TEXT PRIMARY KEY,
    cursor TEXT NOT NULL,
    time INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE unresolved (
    name TEXT NOT NULL,
    number INTEGER NOT NULL,
    jail INTEGER NOT NULL REFERENCES jail,
    time INTEGER NOT NULL,
    pid INTEGER,
    advance INTEGER NOT NULL,
    lines TEXT,
    captures BLOB,
    PRIMARY KEY (name, number)
) STRICT, WITHOUT ROWID;
INSERT INTO jail VALUES (1, 'sshd', 'tcp', '22,6000-6010', 7, 21), (2, 'gone', NULL, NULL, NULL, NULL);
INSERT INTO ban VALUES (1, '192.0.2.1', 1000000, 601000000, 3, 1, 'jail', 'first' || char(10) || 'second'),
    (2, '2001:db8::/64', 2000000, NULL, 0, 0, 'manual', NULL);
INSERT INTO failing VALUES (1, '198.51.100.7', x'40420f00000000000080841e00000000000339300000130066706f7274003737007573657200726f6f7400', 'a line', 1);
INSERT INTO history VALUES (1, '192.0.2.1', 2, 1000000);
INSERT INTO position VALUES ('journal', 's=abc;i=1', 2000001), ('file:/var/log/auth.log', '2:77', 5);
INSERT INTO unresolved VALUES ('a.example', 0, 1, 7, 9, 1, 'one' || char(10) || 'two',
    x'66706f7274003737007573657200726f6f7400');
