"""What the script understands of a specification."""

from activities.adapters.agents.scripted.reading import wish as reading
from activities.adapters.agents.scripted.reading.specification import wish_of
from contracts.project_spec import ProjectSpec


def understood(spec: ProjectSpec) -> reading.Wish:
    """What the script understands of a spec. Of one that names something that cannot be built it understands nothing:
    the agent asks about it."""
    document = spec.model_dump(mode="json") | {"acceptance": []}
    try:
        return wish_of(reading.Task(reading.without_directives(spec.description), document), [])
    except reading.WishError:
        return reading.Wish()
