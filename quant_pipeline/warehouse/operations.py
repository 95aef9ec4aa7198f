"""The operational tables: what the platform knows about its own work (syncs, calls, refused rows, revisions, messages)."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

OPERATIONS = sa.MetaData()


def _moment(name: str, *, now: bool = False) -> sa.Column[object]:
    if now:
        return sa.Column(name, sa.DateTime(timezone=True), nullable=False, server_default=sa.func.clock_timestamp())
    return sa.Column(name, sa.DateTime(timezone=True))


def _counter(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False, server_default="0")


SYNC_RUNS = sa.Table(
    "sync_runs",
    OPERATIONS,
    sa.Column("id", sa.Text, primary_key=True, comment="The Dagster run's id, or one of its own"),
    sa.Column("trigger", sa.Text, nullable=False, comment="Name of the job or command that asked for it"),
    sa.Column("command_id", sa.Text, comment="Which call of a command asked for it: its runs have the same; null: no command"),
    sa.Column("parameters", JSONB, nullable=False, server_default="{}"),
    sa.Column("status", sa.Text, nullable=False, comment="idle|running|success|success_with_errors|failed"),
    _moment("started_at", now=True),
    _moment("finished_at"),
    _counter("units_planned"),
    _counter("units_done"),
    _counter("units_skipped"),
    _counter("units_failed"),
    _counter("calls"),
    _counter("rows_inserted"),
    _counter("rows_updated"),
    _counter("rows_unchanged"),
    _counter("rows_rejected"),
    sa.Column("by_source", JSONB, nullable=False, server_default="{}", comment="source -> units, rows, calls, seconds"),
    sa.Column("process", sa.Text, nullable=False, comment="host:pid"),
    sa.Column("presence", sa.Integer, nullable=False, comment="See presence.py: whether that process still lives"),
    sa.Column("error", sa.Text),
    sa.Index("sync_runs_started_at", "started_at"),
)

SYNC_ITEMS = sa.Table(
    "sync_items",
    OPERATIONS,
    sa.Column("sync_run", sa.Text, sa.ForeignKey("sync_runs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("dataset", sa.Text, primary_key=True),
    sa.Column("unit", sa.Text, primary_key=True, comment="2026-11-20, or 600000.SH 2026-11-02..2026-11-20"),
    sa.Column("trade_date", sa.Date),
    sa.Column("ts_code", sa.Text),
    sa.Column("source", sa.Text),
    sa.Column("status", sa.Text, nullable=False, comment="success|failed"),
    _counter("rows"),
    _counter("inserted"),
    _counter("updated"),
    _counter("unchanged"),
    _counter("rejected"),
    sa.Column("missing", sa.BigInteger, nullable=False, server_default="0", comment="Rows due that no source had"),
    sa.Column("unreadable", sa.Text, comment="Values that could not be read and became null, by column: pe 831, pb 2"),
    _counter("attempts"),
    _counter("calls"),
    sa.Column("seconds", sa.Float, nullable=False, server_default="0"),
    sa.Column("error_class", sa.Text),
    sa.Column("error", sa.Text),
    _moment("finished_at", now=True),
    sa.Index("sync_items_unit", "dataset", "unit", "status"),
)

SCREENINGS = sa.Table(
    "screenings",
    OPERATIONS,
    sa.Column("screen", sa.Text, primary_key=True),
    sa.Column("trade_date", sa.Date, primary_key=True),
    sa.Column("hits", sa.BigInteger, nullable=False, comment="Those of its last run for the session: rows of screen_results"),
    _moment("finished_at", now=True),
)

SIGNAL_DECISIONS = sa.Table(
    "signal_decisions",
    OPERATIONS,
    sa.Column("decided_on", sa.Date, primary_key=True, comment="The session on which it was decided"),
    sa.Column("trade_date", sa.Date, primary_key=True, comment="The signal's session: before decided_on while it is valid"),
    sa.Column("strategy", sa.Text, primary_key=True),
    sa.Column("ts_code", sa.Text, primary_key=True),
    sa.Column("direction", sa.Text, primary_key=True, comment="buy|sell"),
    sa.Column("decision", sa.Text, nullable=False, comment="accepted|refused|expired"),
    sa.Column("conflict", sa.Text, comment="opposite|duplicate|held|not_held; null: none"),
    sa.Column("against", sa.Text, comment="The signals or the holding that it stood against"),
    sa.Column("policy", sa.Text, nullable=False, comment="priority|strength|majority|veto"),
    sa.Column("reason", sa.Text, nullable=False),
    _moment("decided_at", now=True),
    sa.Index("signal_decisions_ts_code", "ts_code"),
)

RECONCILIATION_RUNS = sa.Table(
    "reconciliation_runs",
    OPERATIONS,
    sa.Column("sync_run", sa.Text, sa.ForeignKey("sync_runs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("dataset", sa.Text, primary_key=True),
    sa.Column("second_source", sa.Text, primary_key=True),
    sa.Column("first_session", sa.Date, nullable=False),
    sa.Column("last_session", sa.Date, nullable=False),
    sa.Column("codes", sa.BigInteger, nullable=False, server_default="0", comment="Codes of which a value was compared"),
    sa.Column("compared", sa.BigInteger, nullable=False, server_default="0", comment="Values that both sides have"),
    sa.Column("differing", sa.BigInteger, nullable=False, server_default="0", comment="Those that are rows of reconciliation"),
    sa.Column("failed", sa.BigInteger, nullable=False, server_default="0", comment="Sessions or codes that it did not answer"),
    sa.Column("error", sa.Text, comment="Its last failure"),
    _moment("finished_at", now=True),
)

SOURCE_CALLS = sa.Table(
    "source_calls",
    OPERATIONS,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("api", sa.Text, nullable=False),
    _moment("started_at", now=True),
    sa.Column("finished_at", sa.DateTime(timezone=True), comment="null while the call is under way"),
    sa.Column("outcome", sa.Text, comment="ok, or the failure's class"),
    _counter("rows"),
    sa.Column("process", sa.Text, nullable=False, comment="host:pid"),
    sa.Column("presence", sa.Integer, nullable=False, comment="See presence.py: whether that process still lives"),
    sa.Index("source_calls_recent", "source", "api", "finished_at"),
)

SOURCE_STATE = sa.Table(
    "source_state",
    OPERATIONS,
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("api", sa.Text, primary_key=True),
    sa.Column("next_start", sa.DateTime(timezone=True), comment="The pace's theoretical arrival time (GCRA)"),
    sa.Column("blocked_until", sa.DateTime(timezone=True), comment="The source asked us to wait until then"),
    sa.Column("reason", sa.Text),
    sa.Column("per_minute", sa.Integer, comment="Quota that the source itself named, when below the policy's"),
    sa.Column("circuit", sa.Text, nullable=False, server_default="closed", comment="closed|open|half_open"),
    sa.Column("failures", sa.Integer, nullable=False, server_default="0", comment="Failed calls in a row"),
    sa.Column("retry_at", sa.DateTime(timezone=True), comment="From when on an open circuit lets one call try"),
    sa.Column("probe", sa.BigInteger, comment="The call (source_calls.id) that a half-open circuit lets try"),
    sa.Column("priority", sa.Integer, comment="In place of the environment's; 1 is first, 0 is off; api * is for all"),
    sa.Column("demoted_at", sa.DateTime(timezone=True), comment="Put behind the next source since then, by itself"),
)

SOURCE_EVENTS = sa.Table(
    "source_events",
    OPERATIONS,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    _moment("at", now=True),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("api", sa.Text, nullable=False),
    sa.Column(
        "kind",
        sa.Text,
        nullable=False,
        comment="circuit_opened|circuit_closed|demoted|restored|priority_set|reset|unknown_refusal",
    ),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Index("source_events_at", "at"),
)

CONCEPT_PAGES = sa.Table(
    "concept_pages",
    OPERATIONS,
    sa.Column("page", sa.Text, primary_key=True, comment="Number in the address of a concept's page on THS's site: 301558"),
    sa.Column("ts_code", sa.Text, nullable=False, comment="The concept's code, which the page hides: 885558.TI"),
    _moment("read_at", now=True),
)

REJECTED_ROWS = sa.Table(
    "rejected_rows",
    OPERATIONS,
    sa.Column("dataset", sa.Text, primary_key=True),
    sa.Column("fingerprint", sa.Text, primary_key=True, comment="md5 of source and row: a re-run adds nothing"),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("unit", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False, comment="The rules that the row breaks"),
    sa.Column("row", JSONB, nullable=False, comment="The row as it came, whole"),
    _moment("rejected_at", now=True),
)

ROW_REVISIONS = sa.Table(
    "row_revisions",
    OPERATIONS,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("dataset", sa.Text, nullable=False),
    sa.Column("key", JSONB, nullable=False),
    sa.Column("former", JSONB, nullable=False, comment="The whole row as it was"),
    sa.Column("replaced_by", sa.Text, nullable=False, comment="Source of the new values"),
    _moment("replaced_at", now=True),
    sa.Index("row_revisions_key", "dataset", "key"),
)

CODE_CHANGES = sa.Table(
    "code_changes",
    OPERATIONS,
    sa.Column("old_code", sa.Text, primary_key=True, comment="000022.SZ"),
    sa.Column("new_code", sa.Text, nullable=False, comment="001872.SZ: the company's rows of all days stand under it"),
    sa.Column("name", sa.Text, comment="The name that both codes had"),
    sa.Column("changed_on", sa.Date, comment="First session under the new code; null: published without a day"),
    sa.Column("known_from", sa.Text, nullable=False, comment="stock_list|name_history (detected), bse_mapping (published)"),
    _moment("recorded_at", now=True),
)

TABLE_CHANGES = sa.Table(
    "table_changes",
    OPERATIONS,
    sa.Column("dataset", sa.Text, nullable=False),
    sa.Column("year", sa.Integer, nullable=False, comment="Of the rows that changed; 0: every year, or a list"),
    sa.Column(
        "mark",
        sa.Numeric,
        nullable=False,
        server_default=sa.text("hashtextextended(gen_random_uuid()::text, 0)"),
        comment="A random number: the sum of a year's marks is its state, see table_changes.py",
    ),
    sa.Index("table_changes_year", "dataset", "year"),
)

TABLE_COUNTS = sa.Table(
    "table_counts",
    OPERATIONS,
    sa.Column("dataset", sa.Text, primary_key=True),
    sa.Column("state", sa.Text, nullable=False, comment="The table's, when its rows were counted: see table_changes.py"),
    sa.Column("counts", JSONB, nullable=False, comment="A list: source, rows, first, latest, codes"),
    _moment("counted_at", now=True),
)

MESSAGES = sa.Table(
    "messages",
    OPERATIONS,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("dedupe_key", sa.Text, nullable=False, unique=True, comment="One event, one message"),
    sa.Column("severity", sa.Text, nullable=False, server_default="warning", comment="critical|warning|info"),
    sa.Column("kind", sa.Text, nullable=False, server_default="other", comment="What routes choose by: screen, run_failed …"),
    sa.Column("topic", sa.Text, comment="The same alert has the same; null: nothing else is like it"),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("content", sa.Text, nullable=False),
    sa.Column("template", sa.Text, nullable=False),
    sa.Column(
        "status", sa.Text, nullable=False, comment="pending|accepted|delivered|failed|folded|logged: of all its deliveries"
    ),
    sa.Column("error", sa.Text),
    _moment("created_at", now=True),
    sa.Column("routed_at", sa.DateTime(timezone=True), comment="When its deliveries were made; null: nobody has yet"),
    sa.Index("messages_unrouted", "id", postgresql_where=sa.text("routed_at IS NULL")),
    sa.Index("messages_topic", "topic", "created_at"),
)

DELIVERIES = sa.Table(
    "deliveries",
    OPERATIONS,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("message", sa.BigInteger, sa.ForeignKey("messages.id", ondelete="CASCADE"), nullable=False),
    sa.Column("receiver", sa.Text, nullable=False),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("urgency", sa.SmallInteger, nullable=False, comment="0 critical, 1 warning, 2 info: what goes first"),
    sa.Column("state", sa.Text, nullable=False, comment="waiting|accepted|delivered|failed|passed_on|folded"),
    sa.Column("folded_into", sa.BigInteger, comment="The digest (messages.id) that tells of it"),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("strikes", sa.Integer, nullable=False, server_default="0", comment="Failures while the channel was well"),
    sa.Column("parts_sent", sa.Integer, nullable=False, server_default="0", comment="Of a long message: those that went"),
    sa.Column("receipts", sa.ARRAY(sa.Text), nullable=False, server_default="{}", comment="The channel's, of each part"),
    sa.Column("error", sa.Text),
    sa.Column("not_before", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.clock_timestamp()),
    _moment("ask_at"),
    _moment("created_at", now=True),
    _moment("sent_at"),
    sa.UniqueConstraint("message", "receiver", "channel"),
    sa.Index("deliveries_waiting", "channel", "urgency", "message", postgresql_where=sa.text("state = 'waiting'")),
    sa.Index("deliveries_accepted", "ask_at", postgresql_where=sa.text("state = 'accepted'")),
    sa.Index("deliveries_folded", "folded_into", postgresql_where=sa.text("folded_into IS NOT NULL")),
)

DELIVERY_ATTEMPTS = sa.Table(
    "delivery_attempts",
    OPERATIONS,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("delivery", sa.BigInteger, sa.ForeignKey("deliveries.id", ondelete="CASCADE"), nullable=False),
    sa.Column("account", sa.Text, nullable=False, comment="Whose limits it counts against"),
    _moment("started_at", now=True),
    sa.Column("finished_at", sa.DateTime(timezone=True), comment="null: under way, or its process died"),
    sa.Column("outcome", sa.Text, comment="accepted|refused|unknown"),
    sa.Column("error", sa.Text),
    sa.Index("delivery_attempts_account", "account", "started_at"),
    sa.Index("delivery_attempts_delivery", "delivery"),
)

CHANNEL_STATE = sa.Table(
    "channel_state",
    OPERATIONS,
    sa.Column("account", sa.Text, primary_key=True),
    sa.Column("failures", sa.Integer, nullable=False, server_default="0", comment="In a row; three open the circuit"),
    sa.Column("retry_at", sa.DateTime(timezone=True), comment="Nothing is sent before it"),
    sa.Column("day_until", sa.DateTime(timezone=True), comment="Limited for the day: nothing is sent before it"),
    sa.Column("reason", sa.Text),
    _moment("changed_at", now=True),
)

ALERT_RULES = sa.Table(
    "alert_rules",
    OPERATIONS,
    sa.Column("rule", sa.Text, primary_key=True),
    sa.Column("enabled", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.Column("threshold", sa.Float, comment="In the rule's unit; null: it has none"),
    sa.Column("severity", sa.Text, nullable=False, comment="critical|warning|info"),
    _moment("changed_at", now=True),
    sa.Column("changed_by", sa.Text, comment="null: as it was seeded"),
)

ALERTS = sa.Table(
    "alerts",
    OPERATIONS,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("rule", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False, comment="What it is about: tushare.daily, daily_kline, a job"),
    sa.Column("severity", sa.Text, nullable=False),
    sa.Column("cause", sa.Text, nullable=False, comment="In words, as of the last look"),
    sa.Column("link", sa.Text, comment="Where it can be looked at"),
    _moment("opened_at", now=True),
    _moment("seen_at", now=True),
    _moment("told_at"),
    sa.Column("acknowledged_at", sa.DateTime(timezone=True)),
    sa.Column("acknowledged_by", sa.Text),
    sa.Column("resolved_at", sa.DateTime(timezone=True), comment="When its cause was gone; null: it is open"),
    sa.Index("alerts_open", "rule", "subject", unique=True, postgresql_where=sa.text("resolved_at IS NULL")),
    sa.Index("alerts_opened_at", "opened_at"),
)

THS_ACCOUNTS = sa.Table(
    "ths_accounts",
    OPERATIONS,
    sa.Column("account", sa.Text, primary_key=True, comment="The user's own name for it; default where there is one"),
    sa.Column("user_id", sa.Text),
    sa.Column("nickname", sa.Text),
    sa.Column("method", sa.Text, comment="Of the last login: qr|sms|password|cookie"),
    sa.Column(
        "state",
        sa.Text,
        nullable=False,
        comment="active|expired|logging_in|backing_off|waiting_for_code|waiting_for_person|used_up|logged_out",
    ),
    sa.Column("state_since", sa.DateTime(timezone=True), nullable=False),
    sa.Column("relogin", sa.Boolean, nullable=False, server_default=sa.true(), comment="Whether it may log in again by itself"),
    sa.Column("device", sa.Text, nullable=False, comment="This installation's id in the desktop client's login: random"),
    _moment("logged_in_at"),
    sa.Column("expires_at", sa.DateTime(timezone=True), comment="As the cookies themselves say; null: they do not"),
    _moment("checked_at"),
    _moment("used_at"),
    _moment("failed_at"),
    sa.Column("failure", sa.Text, comment="The last one, in words"),
    sa.Column("failures", sa.Integer, nullable=False, server_default="0", comment="Logins by itself that failed in a row"),
    sa.Column("next_attempt_at", sa.DateTime(timezone=True), comment="Of a login by itself"),
)

THS_EVENTS = sa.Table(
    "ths_events",
    OPERATIONS,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("former", sa.Text, comment="The state before; null: there was no such account"),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("method", sa.Text, comment="qr|sms|password|cookie, where it is a login's"),
    sa.Column("by_itself", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("why", sa.Text, nullable=False),
    sa.Index("ths_events_account", "account", "id"),
)

VAULT_RECORDS = sa.Table(
    "vault_records",
    OPERATIONS,
    sa.Column("kind", sa.Text, primary_key=True, comment="ths_session, ths_password, token …"),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("salt", sa.LargeBinary, nullable=False, comment="Of this record's key derivation"),
    sa.Column("iterations", sa.Integer, nullable=False, comment="Of PBKDF2-HMAC-SHA256"),
    sa.Column("sealed", sa.LargeBinary, nullable=False, comment="A Fernet token over kind, name and secret"),
    sa.Column("about", JSONB, nullable=False, server_default="{}", comment="What may be read by everybody"),
    _moment("created_at", now=True),
    _moment("changed_at", now=True),
    _moment("expires_at"),
)

DOOR_KEYS = sa.Table(
    "door_keys",
    OPERATIONS,
    sa.Column("id", sa.Text, primary_key=True, comment="The part of the key that is no secret, by which it is found"),
    sa.Column("name", sa.Text, nullable=False, comment="Whose key it is, or what it is for"),
    sa.Column(
        "digest", sa.Text, nullable=False, comment="SHA-256 of the secret part (256 random bits): it stands nowhere else"
    ),
    sa.Column("scope", sa.Text, nullable=False, comment="read|run|admin: each includes those before it"),
    sa.Column("per_minute", sa.Integer, comment="Calls a minute; null: no limit"),
    _moment("created_at", now=True),
    _moment("last_used_at"),
    _moment("revoked_at"),
    sa.Index("door_keys_name", "name", unique=True, postgresql_where=sa.text("revoked_at IS NULL")),
)

RECEIVERS = sa.Table(
    "receivers",
    OPERATIONS,
    sa.Column("receiver", sa.Text, primary_key=True, comment="The name that its owner gave a person"),
    sa.Column("channel", sa.Text, nullable=False, comment="The PushPlus account that the person is a friend of"),
    sa.Column("friend", sa.BigInteger, nullable=False, comment="PushPlus's number; his token is asked for, not kept"),
    sa.Column("nickname", sa.Text, nullable=False),
    sa.Column("severities", sa.ARRAY(sa.Text), nullable=False, comment="info|warning|critical: what is told"),
    sa.Column("bound_by", sa.Text, nullable=False, comment="polling|callback"),
    _moment("bound_at", now=True),
    sa.UniqueConstraint("channel", "friend", name="receivers_channel_friend_key"),
)

INVITATIONS = sa.Table(
    "invitations",
    OPERATIONS,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("nonce_hash", sa.Text, nullable=False, unique=True, comment="sha256 of what the callback brings back, once"),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("receiver", sa.Text, nullable=False),
    sa.Column("severities", sa.ARRAY(sa.Text), nullable=False),
    sa.Column("friends_before", sa.ARRAY(sa.BigInteger), nullable=False, comment="Who was a friend already"),
    sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    _moment("made_at", now=True),
    _moment("closed_at"),
)

CALLBACK_PATHS = sa.Table(
    "callback_paths",
    OPERATIONS,
    sa.Column("channel", sa.Text, primary_key=True),
    sa.Column("path_hash", sa.Text, nullable=False, comment="sha256 of the secret part of the address"),
    _moment("made_at", now=True),
)

# What the two unlogged ones hold is worth seconds: a crash of the server may take it, and writing it costs no log.
LIVE_QUOTES = sa.Table(
    "live_quotes",
    OPERATIONS,
    sa.Column("ts_code", sa.Text, primary_key=True),
    sa.Column("name", sa.Text),
    sa.Column("price", sa.Float, comment="元; null: not known"),
    sa.Column("pre_close", sa.Float),
    sa.Column("open", sa.Float),
    sa.Column("high", sa.Float),
    sa.Column("low", sa.Float),
    sa.Column("volume", sa.BigInteger, comment="股"),
    sa.Column("amount", sa.Float, comment="元"),
    sa.Column("bids", JSONB, nullable=False, server_default="[]", comment="[[price, shares], …], the best first"),
    sa.Column("asks", JSONB, nullable=False, server_default="[]"),
    sa.Column("exchange_time", sa.DateTime(timezone=True), comment="When the exchange made it"),
    sa.Column("received_at", sa.DateTime(timezone=True), nullable=False, comment="When the source last said so"),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False, comment="auction|trading|suspended|closed"),
    sa.Column("sequence", sa.BigInteger, nullable=False, comment="Grows with each publication; that of its last change"),
    sa.Index("live_quotes_sequence", "sequence"),
    prefixes=["UNLOGGED"],
)

QUOTE_SUBSCRIPTIONS = sa.Table(
    "quote_subscriptions",
    OPERATIONS,
    sa.Column("subscriber", sa.Text, primary_key=True),
    sa.Column("codes", sa.ARRAY(sa.Text), nullable=False, server_default="{}"),
    sa.Column("codes_until", sa.DateTime(timezone=True), comment="They are wanted until then; to subscribe again renews it"),
    sa.Column("market_until", sa.DateTime(timezone=True), comment="The whole market is wanted until then; null: it is not"),
    prefixes=["UNLOGGED"],
)

QUOTE_POLLER = sa.Table(
    "quote_poller",
    OPERATIONS,
    sa.Column("one", sa.Boolean, primary_key=True, comment="There is one row"),
    _counter("sequence"),
    sa.Column("process", sa.Text, comment="host:pid that polls, or polled last"),
    sa.Column("source", sa.Text, comment="The source that answered last"),
    _moment("last_success"),
    sa.Column("next_retry", sa.DateTime(timezone=True), comment="When it asks again, where it waits"),
    sa.Column("error", sa.Text, comment="What failed in the last poll, in words; null: nothing"),
    sa.Column("refused", JSONB, nullable=False, server_default="{}", comment="Codes of the last poll without a quote, and why"),
)
