-- What a bad import, a bug of a later release or a broken disk could leave in the
-- database: drill poison-event writes it past the program. $ACCOUNT is a person's.

INSERT INTO events (id, kind, kind_version, account, actor, made_at, standby, data, node, node_seq)
VALUES ('00000000-0000-7000-8000-0000000000a1', 'signin.succeeded', 1, '$ACCOUNT', 'system', 0, 0, 'null', 'poison', 1);

INSERT INTO events (id, kind, kind_version, account, actor, made_at, standby, data, node, node_seq)
VALUES ('00000000-0000-7000-8000-0000000000a2', 'signin.succeeded', 1, '$ACCOUNT', 'system', -9000000000000000, 7, '{"method":{"a":[1,2]}}', 'poison', 2);

INSERT INTO events (id, kind, kind_version, account, actor, made_at, standby, data, node, node_seq)
VALUES ('00000000-0000-7000-8000-0000000000a3', 'tea.brewed', 1, '$ACCOUNT', '', 0, 0, '{}', '', 0);

INSERT INTO events (id, kind, kind_version, account, actor, made_at, standby, data, node, node_seq)
VALUES ('00000000-0000-7000-8000-0000000000a4', 'signin.succeeded', 99, '$ACCOUNT', 'system', 0, 0, '{"from":"the future"}', 'poison', 4);

INSERT INTO events (id, kind, kind_version, account, actor, made_at, standby, data, personal, node, node_seq)
VALUES ('00000000-0000-7000-8000-0000000000a5', 'signin.refused', 1, '$ACCOUNT', 'system', 0, 0, '{"reason":"' || repeat('x', 10485760) || '"}', '\x00ff', 'poison', 5);

INSERT INTO events (id, kind, kind_version, account, actor, session, made_at, standby, data, node, node_seq)
VALUES ('not an id', 'account.disabled', 1, 'nor this', 'system', 'nor this', 0, 0, '{', 'poison', 6);

INSERT INTO outbox (id, kind, account, payload, made_at, due_at, expires_at, tries, given_up, last_error, version, node, channel, lane)
VALUES ('00000000-0000-7000-8000-0000000000b1', 'no-such-mail', '$ACCOUNT', '\xdeadbeef', 0, 0, 9000000000000000, 0, 0, '', 1, 'poison', 'mail', 'poison');

INSERT INTO outbox (id, kind, account, payload, made_at, due_at, expires_at, tries, given_up, last_error, version, node, channel, lane)
VALUES ('00000000-0000-7000-8000-0000000000b2', 'hook', NULL, '', 0, 0, 9000000000000000, -4, 0, repeat('x', 10485760), 1, 'poison', 'hook', 'poison');

INSERT INTO policies (id, organisation, kind, value, made_at, version, node)
VALUES ('poison', NULL, 'strength', '{"second":false', 0, 1, 'poison');

INSERT INTO clients (id, organisation, name, made_at, version, node)
VALUES ('poison', 'no such business', repeat('x', 10485760), 0, -1, 'poison');

INSERT INTO hooks (id, organisation, name, url, secrets, kinds, state, made_at, version, node)
VALUES ('poison', NULL, 'poison', 'javascript:0', '\x00', 'null', 'maybe', 0, 1, 'poison');

INSERT INTO memberships (organisation, account, role, made_at, version, node)
SELECT id, '$ACCOUNT', 'emperor', 0, 1, 'poison' FROM organisations LIMIT 1;

INSERT INTO devices (device, account, first_seen_at, last_seen_at, version, node)
VALUES (repeat('x', 2000), '$ACCOUNT', -1, -1, -1, '');

INSERT INTO revocations (kind, subject, epoch, until, made_at, version, node)
VALUES ('galaxy', '$ACCOUNT', 9000000000000000000, 9000000000000000, 0, 1, 'poison')
