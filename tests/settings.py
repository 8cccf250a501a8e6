"""The product's settings in the environment of the test run. pytest-django reads them before any conftest is loaded."""

from tests import environment

environment.prepare()

from gateway_project.settings import *  # noqa: E402, F403 - the one place where that is the point
