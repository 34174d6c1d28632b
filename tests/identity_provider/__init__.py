"""An identity provider for tests: the OpenID Connect of django-oauth-toolkit, in a process of its own."""
