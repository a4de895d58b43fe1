"""The gallery: an application of sample pages. ``uvicorn tests.console.gallery.app:app`` shows it to a person."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Depends, FastAPI, Form, Request, Response, UploadFile
from fastapi.responses import HTMLResponse

from plumbline.console import charts, views
from plumbline.console.charts import Bar, Step
from plumbline.kernel.errors import Conflict, Forbidden, NotFound, PlumblineError

NOW = datetime(2026, 11, 24, 9, 52, tzinfo=UTC)
HASH = "b41e77c02f6ad08e93c1a7714de05b8cf2906e31aa84c7d25f0be1934c865d19"
views.register_templates("tests.console.gallery", "gallery")

entry = views.NavEntry
NAV = (
    views.NavGroup(
        "Work",
        (
            entry("overview", "Overview", "/", "overview"),
            entry("findings", "Findings", "/list", "findings", 12),
            entry("search", "Search", "/search", "search"),
        ),
        show_title=False,
    ),
    views.NavGroup(
        "Rooms",
        (
            entry("credit", "Credit", "/decision", "credit"),
            entry("threats", "Threats", "/components", "threats"),
            entry("posture", "Posture", "/components", "posture"),
            entry("infrastructure", "Infrastructure", "/components", "infrastructure"),
            entry("documents", "Documents", "/components", "documents"),
        ),
    ),
    views.NavGroup(
        "Record",
        (
            entry("decisions", "Decisions", "/list", "decisions"),
            entry("models", "Models", "/components", "models"),
            entry("ledger", "Ledger", "/components", "ledger"),
            entry("data", "Data", "/components", "data"),
            entry("notifications", "Notifications", "/components", "notifications"),
            entry("settings", "Settings", "/form", "settings"),
        ),
    ),
)
SHELL = views.Shell(
    organization="Nordhaven Bank",
    environment="production",
    user_name="Imke Brandt",
    user_role="Analyst, imke.brandt@nordhaven.example",
    nav_groups=NAV,
    account=(entry("sessions", "Sessions", "/form", "clock"), entry("password", "Change password", "/password", "key")),
)
FINDINGS = (
    ("critical", "threats", "Service account token used from two continents", "svc-payments-eu", 0.97, "Mara Voss", 18),
    ("critical", "posture", "Public write access on backup bucket", "prod-ledger-archive", 0.95, "", 42),
    ("high", "credit", "Declined within 4 points of the cut-off", "Application A-77120", 0.84, "Imke Brandt", 120),
    ("high", "infrastructure", "Firewall rule added outside change window", "edge-fra-02", 0.81, "Tomás Rey", 180),
    ("high", "documents", "Lease agreement lacks break clause", "DOC-20931, page 7", 0.78, "", 300),
    ("medium", "credit", "Income fact older than 90 days", "Application A-77098", 0.66, "Imke Brandt", 540),
    ("medium", "threats", "Unusual volume of failed sign-ins", "vpn-gateway-3", 0.61, "Mara Voss", 2000),
    ("low", "posture", "TLS 1.2 still offered by one listener", "intranet-lb-1", 0.38, "Tomás Rey", 4000),
)
STEPS = (
    Step("Payment 30+ days late", "2 times in the last 12 months", -41),
    Step("Card use against limit", "83 % of limits used", -27),
    Step("New credit lines", "3 opened in 6 months", -14),
    Step("Time with employer", "6 years 2 months", 12),
    Step("Income against instalment", "Instalment is 11 % of net income", 6),
)
FACTS = (
    ("payment.late_30d_count_12m", "2", "Bureau report", 12),
    ("card.utilisation_ratio", "0.83", "Open banking", 14),
    ("income.net_monthly_eur", "3,412.00", "Payslip, page 1", 4300),
)
EVENTS = (
    ("09:41:07", "Decision recorded", "Policy retail-credit 18 applied rule 7, “score below cut-off”."),
    ("09:41:06", "Scored", "credit-risk 4.2.1 returned 548 in 38 ms."),
    ("09:38:15", "Application received", "Submitted through the partner channel."),
)
CALIBRATION = ((0.04, 0.03, 8120), (0.13, 0.12, 5210), (0.24, 0.22, 3304), (0.35, 0.36, 2210), (0.45, 0.49, 1630))
DAYS = {1: (24, timedelta(hours=1)), 7: (56, timedelta(hours=3)), 30: (60, timedelta(hours=12))}


async def enter(request: Request) -> None:
    request.state.now = NOW
    if request.url.path not in ("/signin", "/lost"):
        request.state.shell = SHELL


app = FastAPI(dependencies=[Depends(views.same_origin), Depends(enter)], openapi_url=None)
views.install(app)
app.state.polls = 0


@app.exception_handler(PlumblineError)
def refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, PlumblineError)
    return views.error_page(request, error, request_id="req_8f2c41b7e06d52c8817ba4f9")


def outcomes(days: int) -> dict[str, object]:
    count, step = DAYS[days]
    random_source = random.Random(days)
    xs, series = [], {"Approved": [], "Declined": [], "Referred": []}  # type: tuple[list[str], dict[str, list[float]]]
    for i in range(count + 1):
        at = NOW - step * (count - i)
        volume = 1500 * (0.6 + 0.4 * math.sin((at.hour - 8) / 24 * 2 * math.pi)) * random_source.uniform(0.93, 1.07)
        for (_, values), part in zip(series.items(), (0.71, 0.21, 0.08), strict=True):
            values.append(round(volume * part))
        xs.append(f"{at:%H:%M}" if days == 1 else f"{at.day} {at:%b}")
    marks = [] if days == 1 else [(count * 62 // 100, "credit-risk 4.2.1")]
    return {"days": days, "xs": xs, "series": list(series.items()), "marks": marks}


def findings(room: str) -> list[dict[str, object]]:
    keys = ("severity", "room", "title", "subject", "score", "owner", "due")
    rows = [dict(zip(keys, row, strict=True)) for row in FINDINGS if room in ("", row[1])]
    return [row | {"due": NOW + timedelta(minutes=int(str(row["due"])))} for row in rows]


def running(polls: int) -> views.JobView:
    done = min(412_100, 255_502 + 80_000 * polls)
    state = "done" if done == 412_100 else "running"
    return views.JobView(
        "4471",
        "Replay of 30 days with credit-risk 4.3.0",
        "/job",
        state,
        done,
        412_100,
        unit="decisions",
        note="" if state == "done" else "about 5 min left",
        result="/list" if state == "done" else "",
    )


@app.api_route("/", methods=["GET", "HEAD"])
def overview(request: Request, room: str = "", days: int = 7) -> HTMLResponse:
    if views.is_partial(request):
        if "days" in request.query_params:
            return views.fragment(request, "gallery/_outcomes.html", **outcomes(days))
        return views.fragment(request, "gallery/_findings.html", rows=findings(room), room=room)
    heat = [
        (day, [max(0, 40 - abs(h - 6) * 9 + d * 3) for h in range(12)]) for d, day in enumerate(("Mon", "Tue", "Wed"))
    ]
    return views.page(
        request,
        "gallery/overview.html",
        nav="overview",
        rows=findings(room),
        room=room,
        job=running(0),
        heat=heat,
        calibration=CALIBRATION,
        **outcomes(days),
    )


@app.get("/job")
def job(request: Request) -> HTMLResponse:
    app.state.polls += 1
    return views.job_fragment(request, running(app.state.polls))


@app.get("/list")
def listing(request: Request, room: str = "", q: str = "") -> HTMLResponse:
    rows = [row for row in findings(room) if q.lower() in str(row["title"]).lower()]
    return views.page(request, "gallery/list.html", nav="findings", rows=rows, room=room, q=q)


@app.get("/decision")
def decision(request: Request) -> HTMLResponse:
    counts = [int(1900 * math.exp(-((320 + 20 * i + 10 - 640) ** 2) / 14500)) + 4 for i in range(25)]
    why = charts.waterfall("The score falls from 612 to 548, mostly for late payments", 612, STEPS, threshold=580)
    return views.page(
        request,
        "gallery/decision.html",
        nav="credit",
        why=why,
        counts=counts,
        facts=[(name, value, source, NOW - timedelta(minutes=age), age * 60) for name, value, source, age in FACTS],
        events=EVENTS,
        hash=HASH,
        now=NOW,
        found={},
        given={},
    )


@app.post("/decision/verify")
def verify(request: Request) -> HTMLResponse:
    return views.fragment(request, "gallery/_proof.html", hash=HASH, now=NOW, fresh=True)


@app.post("/decision/overturn")
def overturn(request: Request, reason: Annotated[str, Form()] = "", note: Annotated[str, Form()] = "") -> Response:
    found = {}
    if not reason:
        found["reason"] = "Choose a reason."
    if len(note.strip()) < 20:
        found["note"] = f"Write at least 20 characters; you wrote {len(note.strip())}."
    if found:
        given = {"reason": reason, "note": note}
        return views.fragment(request, "gallery/_overturn.html", status=422, found=found, given=given)
    return views.redirect(request, "/decision?done=1", flash="The decision is overturned; entry 1,284,903 holds it.")


@app.get("/form")
def form(request: Request) -> HTMLResponse:
    return views.page(request, "gallery/form.html", nav="settings", found={}, given={})


@app.post("/form")
def send(
    request: Request,
    name: Annotated[str, Form()] = "",
    table: UploadFile | None = None,
) -> Response:
    found = {}
    if not name:
        found["name"] = "Give the batch a name."
    if table is None or not table.filename:
        found["table"] = "Choose a CSV or Parquet file."
    if found:
        return views.page(request, "gallery/form.html", nav="settings", status=422, found=found, given={"name": name})
    assert table is not None
    return views.redirect(request, "/form", flash=f"“{name}” takes {table.filename}.")


@app.get("/components")
def components(request: Request) -> HTMLResponse:
    return views.page(request, "gallery/components.html", nav="models", now=NOW, hash=HASH, job=running, bar=Bar)


@app.get("/later")
def later(request: Request) -> HTMLResponse:
    return views.fragment(request, "gallery/_later.html")


@app.get("/break")
def broken(request: Request) -> Response:
    raise Conflict("This job has ended already.", remedy="Start a new one.")


@app.get("/forbidden")
def forbidden(request: Request) -> Response:
    raise Forbidden("Your role does not permit this.", remedy="Ask an administrator for credit.approve.")


@app.get("/lost")
def lost(request: Request) -> Response:
    raise NotFound("There is no such page.")


@app.get("/signin")
def signin(request: Request, wrong: int = 0) -> HTMLResponse:
    error = "E-mail, user name or password is wrong." if wrong else ""
    login = "imke.brandt@nordhaven.example" if wrong else ""
    return views.page(
        request, "signin.html", nav="", status=422 if wrong else 200, error=error, login=login, sso="/sso"
    )


@app.get("/password")
def password(request: Request, wrong: int = 0) -> HTMLResponse:
    found = {"again": "Type the same password twice."} if wrong else {}
    return views.page(request, "change_password.html", nav="", errors=found, forced=True)
