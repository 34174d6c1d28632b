"""The `graphql_api` app: what clients see."""

from django.apps import AppConfig


class GraphqlApiConfig(AppConfig):
    """The GraphQL schema, its view and its limits."""

    name = "graphql_api"
    verbose_name = "GraphQL API"
