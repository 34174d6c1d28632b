"""The address of the API."""

from __future__ import annotations

from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from graphql_api.schema import schema
from graphql_api.view import GraphQLView

# The view checks the CSRF token itself: for sessions it must, for bearer tokens there is none.
urlpatterns = [
    path(
        "",
        csrf_exempt(GraphQLView.as_view(schema=schema, graphql_ide="graphiql", allow_queries_via_get=True)),
        name="graphql",
    ),
]
