"""Pages for the members of a project: server-rendered, each from the use cases that the API has."""
