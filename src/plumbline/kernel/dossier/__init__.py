"""The dossier of a decision: what went in, what came out and why, who did what afterwards, and the proof, in one file."""

from plumbline.kernel.room import Room

part = Room(
    name="dossier",
    title="Dossier",
    commands={
        "dossier": ("plumbline.kernel.dossier.cli:dossier", "All there is on a decision, with its proof, in one file.")
    },
    router="plumbline.kernel.dossier.api:router",
    pages="plumbline.kernel.dossier.pages:router",
    rights={"dossier.make": ("analyst", "admin")},
)
