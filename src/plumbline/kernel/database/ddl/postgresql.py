"""Roles, functions, triggers, policies and grants on PostgreSQL."""

from __future__ import annotations

ROLES = ("plumbline_app", "plumbline_worker")
_FIXED = ("id", "organization_id", "timestamp", "action", "actor_type", "user_id", "resource_type", "resource_id", "request_id",
          "success", "actor_commitment", "content_commitment")  # fmt: skip
_ACTOR = ("actor_id", "client_id", "ip_address", "session_id", "user_agent", "actor_salt")
_CONTENT = ("details", "error_message", "new_values", "old_values", "content_salt")
_JSON = ("details", "new_values", "old_values")


def _same(columns: tuple[str, ...]) -> str:
    cast = dict.fromkeys(_JSON, "::text")  # type json has no equality
    return " AND ".join(f"new.{c}{cast.get(c, '')} IS NOT DISTINCT FROM old.{c}{cast.get(c, '')}" for c in columns)


def _blank(columns: tuple[str, ...]) -> str:
    return " AND ".join(f"new.{c} IS NULL" for c in columns)


def functions() -> list[str]:
    """Trigger functions; they name their tables only when they run."""
    return [
        f"""CREATE OR REPLACE FUNCTION audit_log_guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF tg_op = 'UPDATE' AND {_same(_FIXED)} AND (({_same(_ACTOR)}) OR ({_blank(_ACTOR)})) AND (({_same(_CONTENT)}) OR ({_blank(_CONTENT)})) THEN RETURN new; END IF;
  IF tg_op = 'DELETE' AND EXISTS (SELECT 1 FROM ledger_leaves l JOIN ledger_trees t USING (organization_id) WHERE l.entry_id = old.id AND l.leaf_index < t.pruned_below) THEN RETURN old; END IF;
  RAISE EXCEPTION 'audit_log is append-only'; END $$""",
        """CREATE OR REPLACE FUNCTION audit_log_queue() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO ledger_pending SELECT organization_id, id FROM new_rows; RETURN NULL; END $$""",
        """CREATE OR REPLACE FUNCTION ledger_leaves_guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  RAISE EXCEPTION '% is append-only', tg_table_name; END $$""",
        """CREATE OR REPLACE FUNCTION ledger_trees_guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF tg_op = 'UPDATE' AND new.organization_id = old.organization_id AND new.origin = old.origin AND new.pruned_below >= old.pruned_below THEN
    RETURN new; END IF;
  RAISE EXCEPTION 'ledger_trees is append-only'; END $$""",
        """CREATE OR REPLACE FUNCTION plumbline_touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF new.updated_at IS NOT DISTINCT FROM old.updated_at THEN new.updated_at := clock_timestamp(); END IF; RETURN new; END $$""",
    ]


def lookups() -> list[str]:
    """The owner's functions: what must be found before the tenant is known, and the worker's business over all of them."""
    secure = "LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp"
    made = [
        f"""CREATE OR REPLACE FUNCTION plumbline_find_session(wanted bytea) RETURNS TABLE (id uuid, organization_id uuid) {secure} AS $$
  SELECT s.id, s.organization_id FROM user_sessions s WHERE s.token_hash = wanted $$""",
        f"""CREATE OR REPLACE FUNCTION plumbline_find_key(wanted bytea) RETURNS TABLE (id uuid, organization_id uuid) {secure} AS $$
  SELECT k.id, k.organization_id FROM api_keys k WHERE k.key_hash = wanted $$""",
        f"""CREATE OR REPLACE FUNCTION plumbline_find_user(wanted text) RETURNS TABLE (id uuid, organization_id uuid) {secure} AS $$
  SELECT u.id, u.organization_id FROM users u WHERE u.username = wanted OR u.email = wanted $$""",
        f"""CREATE OR REPLACE FUNCTION plumbline_find_job(wanted uuid) RETURNS TABLE (id uuid, organization_id uuid) {secure} AS $$
  SELECT j.id, j.organization_id FROM jobs j WHERE j.id = wanted $$""",
        # no OR over the two states and no sort: each look-up follows ix_jobs_due and stops at its first row, also while the
        # statistics are those of an empty queue
        """CREATE OR REPLACE FUNCTION plumbline_claim_job(wanted text[], worker_name text, lease double precision, started timestamptz)
  RETURNS TABLE (id uuid, organization_id uuid, kind text, subject_id uuid, user_id uuid, arguments jsonb, done bigint, total bigint,
    token bigint, attempts bigint, max_attempts bigint) LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_sort = off AS $$
#variable_conflict use_column
DECLARE at double precision := extract(epoch FROM clock_timestamp()); chosen uuid;
BEGIN
  SELECT j.id INTO chosen FROM jobs j WHERE j.state = 'running' AND j.kind = ANY (wanted)
    AND (j.lease_until < at OR j.lease_until > at + 2 * lease)
    ORDER BY j.priority, j.due_at, j.id LIMIT 1 FOR UPDATE SKIP LOCKED;
  IF chosen IS NULL THEN
    SELECT j.id INTO chosen FROM jobs j WHERE j.state = 'queued' AND j.kind = ANY (wanted)
      AND (j.due_at <= at OR (j.attempts > 0 AND j.due_at > at + 300))
      ORDER BY j.priority, j.due_at, j.id LIMIT 1 FOR UPDATE SKIP LOCKED;
  END IF;
  IF chosen IS NULL THEN RETURN; END IF;
  RETURN QUERY UPDATE jobs j SET state = 'running', token = j.token + 1, attempts = j.attempts + 1, worker = worker_name,
    lease_until = at + lease, started_at = coalesce(j.started_at, started) WHERE j.id = chosen
    RETURNING j.id, j.organization_id, j.kind, j.subject_id, j.user_id, j.arguments, j.done, j.total, j.token, j.attempts, j.max_attempts;
END $$""",
        f"""CREATE OR REPLACE FUNCTION plumbline_job_backlog() RETURNS TABLE (waiting bigint, oldest double precision) {secure} AS $$
  SELECT count(*), max(extract(epoch FROM clock_timestamp()) - CASE WHEN j.state = 'running' THEN j.lease_until WHEN j.due_at > 0 THEN j.due_at
      ELSE extract(epoch FROM j.created_at) END) FROM jobs j
    WHERE (j.state = 'queued' AND j.due_at <= extract(epoch FROM clock_timestamp()))
      OR (j.state = 'running' AND j.lease_until < extract(epoch FROM clock_timestamp())) $$""",
        f"""CREATE OR REPLACE FUNCTION plumbline_due_schedules() RETURNS TABLE (organization_id uuid) {secure} AS $$
  SELECT DISTINCT s.organization_id FROM job_schedules s WHERE NOT s.paused AND s.next_due <= extract(epoch FROM clock_timestamp()) $$""",
    ]
    for name in LOOKUPS:
        made.append(f"REVOKE ALL ON FUNCTION {name} FROM PUBLIC")
    made.extend(f"GRANT EXECUTE ON FUNCTION {name} TO plumbline_app, plumbline_worker" for name in LOOKUPS[:4])
    made.extend(f"GRANT EXECUTE ON FUNCTION {name} TO plumbline_worker" for name in LOOKUPS[4:])
    return made


LOOKUPS = (
    "plumbline_find_session(bytea)",
    "plumbline_find_key(bytea)",
    "plumbline_find_user(text)",
    "plumbline_job_backlog()",
    "plumbline_find_job(uuid)",
    "plumbline_claim_job(text[], text, double precision, timestamptz)",
    "plumbline_due_schedules()",
)


def function_names() -> tuple[str, ...]:
    return (
        "audit_log_guard()",
        "audit_log_queue()",
        "ledger_leaves_guard()",
        "ledger_trees_guard()",
        "plumbline_touch()",
        *LOOKUPS,
    )


_TENANT = "organization_id = nullif(current_setting('plumbline.organization_id', true), '')::uuid"
# what each role may do; the application's role cannot change an audit entry even where a guard would let it
_APP = {
    "audit_log": "SELECT, INSERT", "ledger_pending": "SELECT, INSERT", "ledger_leaves": "SELECT", "ledger_nodes": "SELECT",
    "ledger_checkpoints": "SELECT", "ledger_trees": "SELECT", "alembic_version": "SELECT", "ledger_cosignatures": "SELECT",
    "ledger_destinations": "SELECT",
}  # fmt: skip
_WORKER = {
    "audit_log": "SELECT, INSERT, UPDATE, DELETE", "ledger_leaves": "SELECT, INSERT", "ledger_nodes": "SELECT, INSERT",
    "ledger_checkpoints": "SELECT, INSERT", "ledger_trees": "SELECT, INSERT, UPDATE",
}  # fmt: skip
_ALL = "SELECT, INSERT, UPDATE, DELETE"


def of_table(table: str, *, tenant: bool, timed: bool) -> list[str]:
    made = [
        f"GRANT {_APP.get(table, _ALL)} ON {table} TO plumbline_app",
        f"GRANT {_WORKER.get(table, _ALL)} ON {table} TO plumbline_worker",
    ]
    if tenant:
        made.append(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        made.append(f"CREATE POLICY tenant ON {table} USING ({_TENANT}) WITH CHECK ({_TENANT})")
    if timed:
        made.append(
            f"CREATE TRIGGER {table}_updated_at BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION plumbline_touch()"
        )
    if table == "audit_log":
        made += [
            "CREATE TRIGGER audit_log_guard BEFORE UPDATE OR DELETE ON audit_log FOR EACH ROW EXECUTE FUNCTION audit_log_guard()",
            "CREATE TRIGGER audit_log_truncate BEFORE TRUNCATE ON audit_log EXECUTE FUNCTION audit_log_guard()",
            "CREATE TRIGGER audit_log_queue AFTER INSERT ON audit_log REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION audit_log_queue()",
        ]
    if table in ("ledger_leaves", "ledger_nodes", "ledger_checkpoints"):
        made.append(
            f"CREATE TRIGGER {table}_guard BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION ledger_leaves_guard()"
        )
    if table == "ledger_trees":
        made += [
            "CREATE TRIGGER ledger_trees_guard BEFORE UPDATE OR DELETE ON ledger_trees FOR EACH ROW EXECUTE FUNCTION ledger_trees_guard()",
            "CREATE TRIGGER ledger_trees_truncate BEFORE TRUNCATE ON ledger_trees EXECUTE FUNCTION ledger_leaves_guard()",
        ]
    return made


def make_roles(can_create: bool) -> list[str]:
    """Statements that make the two roles and let the migrating role take them."""
    made = []
    for role in ROLES:
        made.append(
            f"DO $$ BEGIN IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = '{role}') THEN CREATE ROLE {role} NOLOGIN NOSUPERUSER NOBYPASSRLS; END IF; END $$"
        )
        made.append(f"GRANT {role} TO CURRENT_USER")
    return made if can_create else [s.replace("CURRENT_USER", "<the role that serves>") for s in made]
