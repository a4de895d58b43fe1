"""Every setting, with a default that works embedded. Environment (``PLUMBLINE_…``) wins over ``plumbline.toml``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from plumbline.kernel.errors import Usage, Where


def default_home() -> Path:
    """``PLUMBLINE_HOME``, else the platform's folder for a program's data."""
    if chosen := os.environ.get("PLUMBLINE_HOME"):
        return Path(chosen)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "plumbline"


class Settings(BaseSettings):
    """``plumbline config show`` prints them with their source."""

    model_config = SettingsConfigDict(env_prefix="PLUMBLINE_", extra="forbid", frozen=True)

    home: Path = Field(default_factory=default_home, description="Folder of the database, artefacts, files and keys.")
    database_url: str | None = Field(
        None, description="sqlite:///FILE or postgresql://USER@HOST/NAME; default: a file in the home."
    )
    artifacts: str | None = Field(
        None, description="Where model files live: a folder or any fsspec address; default: in the home."
    )
    environment: str = Field(
        "embedded", description="Shown in the console: embedded, demonstration, staging, production."
    )
    host: str = Field("127.0.0.1", description="Address the server listens on.")
    port: int = Field(8400, ge=0, le=65535, description="Port the server listens on; 0 takes a free one.")
    public_url: str | None = Field(None, description="The address people use, where a proxy stands before the server.")
    worker_threads: int = Field(
        2, ge=0, le=64, description="Background threads inside `serve`; 0 leaves the work to `plumbline worker`."
    )
    max_upload_bytes: int = Field(2_000_000_000, ge=1, description="Largest file that is taken, packed.")
    max_unpacked_bytes: int = Field(20_000_000_000, ge=1, description="Largest content of a compressed file.")
    max_request_bytes: int = Field(10_000_000, ge=1, description="Largest request that is not a file.")
    session_hours: float = Field(12.0, gt=0, description="A sign-in ends after this time.")
    session_idle_minutes: float = Field(60.0, gt=0, description="A sign-in ends when unused for this time.")
    sign_in_attempts: int = Field(
        10, ge=1, description="Sign-in attempts an account or address has at once; one more each 30 s."
    )
    metrics_token: SecretStr | None = Field(
        None, description="Bearer token for /metrics; without it only loopback may read them."
    )
    ledger_host: str | None = Field(
        None, description="Name under which the ledgers sign, for ever; default: the host of public_url."
    )
    ledger_key: SecretStr | None = Field(
        None, description="The ledger's private key (PEM); default: a file in the home, made when it is needed first."
    )
    ledger_key_command: str | None = Field(
        None, description="A command that prints the ledger's private key (PEM), from a vault say."
    )
    ledger_stores: list[str] = Field(
        default_factory=list,
        description="Where checkpoints are copied to: folders or fsspec addresses (s3://bucket/path).",
    )
    ledger_witnesses: list[str] = Field(
        default_factory=list,
        description="Witnesses that cosign checkpoints, each 'URL VERIFIER-KEY' (C2SP tlog-witness).",
    )
    log_level: str = Field("info", description="debug, info, warning or error.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        home = Path(init_settings.init_kwargs.get("home") or default_home())  # type: ignore[attr-defined]
        toml = TomlConfigSettingsSource(settings_cls, home / "plumbline.toml")
        return init_settings, env_settings, toml

    @property
    def url(self) -> str:
        return self.database_url or f"sqlite:///{self.home / 'plumbline.db'}"

    @property
    def artifact_root(self) -> str:
        return self.artifacts or str(self.home / "artifacts")

    @property
    def files(self) -> Path:
        """Uploaded files and results."""
        return self.home / "files"

    @property
    def keys(self) -> Path:
        """Private keys, readable by nobody else; never in the database, a backup of it or an export."""
        return self.home / "keys"


def load(**given: Any) -> Settings:
    """Settings from all sources; a bad value names its setting and its source."""
    try:
        return Settings(**{k: v for k, v in given.items() if v is not None})
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "settings"
        raise Usage(f"The setting '{name}' is wrong: {first['msg']}.", where=Where(field=name),
                    remedy=f"See PLUMBLINE_{name.upper()} and plumbline.toml in the home.") from None  # fmt: skip


def shown(settings: Settings) -> list[dict[str, Any]]:
    """Name, effective value (secrets masked), source and meaning of every setting."""
    file_values: dict[str, Any] = {}
    path = settings.home / "plumbline.toml"
    if path.exists():
        import tomllib

        file_values = tomllib.loads(path.read_text("utf-8"))
    rows = []
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        environment = f"PLUMBLINE_{name.upper()}"
        source = "given" if name in settings.model_fields_set else "default"
        if environment in os.environ:
            source = environment
        elif name in file_values:
            source = "plumbline.toml"
        if isinstance(value, SecretStr):
            value = "********"
        if name == "database_url" and value:
            import sqlalchemy as sa

            value = sa.make_url(value).render_as_string(hide_password=True)
        rows.append(
            {
                "name": name,
                "value": None if value is None else str(value),
                "source": source,
                "meaning": field.description,
            }
        )
    return rows
