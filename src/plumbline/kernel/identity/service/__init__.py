"""Use cases of identity: one transaction and one audit entry each."""

from plumbline.kernel.identity.service.access import (
    SignedIn,
    authenticate_key,
    authenticate_session,
    sign_in,
    sign_out,
    use_once_link,
)
from plumbline.kernel.identity.service.keys import create_key, list_keys, revoke_key
from plumbline.kernel.identity.service.organizations import (
    Initialized,
    change_settings,
    create_organization,
    cross,
    four_eyes,
    initialize,
    list_organizations,
    organization_of,
    system_context,
)
from plumbline.kernel.identity.service.people import (
    change_own_password,
    change_user,
    create_user,
    end_sessions,
    list_sessions,
    list_users,
    names_of,
    once_link,
    reset_password,
    user_named,
)

__all__ = [
    "Initialized", "SignedIn", "authenticate_key", "authenticate_session", "change_own_password", "change_settings", "change_user", "create_key",
    "create_organization", "create_user", "cross", "end_sessions", "four_eyes", "initialize", "list_keys", "list_organizations",
    "list_sessions", "list_users", "names_of", "once_link", "organization_of", "reset_password", "revoke_key", "sign_in", "sign_out",
    "system_context", "use_once_link", "user_named",
]  # fmt: skip
