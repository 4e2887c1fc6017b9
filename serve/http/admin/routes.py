"""The routes of the whole admin API."""

from fastapi import APIRouter

from serve.http.admin import accounts, audit, budgets, bundles, provider_keys, telemetry, usage, virtual_keys

routes = APIRouter()
for _module in (accounts, telemetry, virtual_keys, provider_keys, budgets, bundles, usage, audit):
    routes.include_router(_module.routes)
