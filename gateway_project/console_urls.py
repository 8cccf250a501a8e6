"""The web console: `/`, `/login`, `/logout` and below `/console/`, because the admin REST API has the plain names."""

from __future__ import annotations

from django.contrib.auth.views import LogoutView
from django.urls import path
from django.views.i18n import set_language

from analytics import ledger_pages as ledger
from analytics import pages as analytics
from analytics.alerts import pages as alerts
from keys import key_pages, team_pages
from keys import pages as keys
from routing.pages import configs, versions

app_name = "console"
urlpatterns = [
    path("", analytics.home, name="home"),
    path("login", keys.Login.as_view(), name="login"),
    path("logout", LogoutView.as_view(), name="logout"),
    path("invitations/<str:token>", team_pages.invitation, name="invitation"),
    path("console/account", team_pages.account, name="account"),
    path("console/members", team_pages.members, name="members"),
    path("console/members/<str:user_id>/role", team_pages.member_role, name="member_role"),
    path("console/members/<str:user_id>/remove", team_pages.member_remove, name="member_remove"),
    path("console/invitations/<str:invite_id>/renew", team_pages.invitation_renew, name="invitation_renew"),
    path("console/invitations/<str:invite_id>/withdraw", team_pages.invitation_withdraw, name="invitation_withdraw"),
    path("console/language", set_language, name="set_language"),
    path("console/workspace", keys.switch_workspace, name="switch_workspace"),
    path("console/logs", analytics.logs, name="logs"),
    path("console/logs/<str:log_id>", analytics.log, name="log"),
    path("console/trace", ledger.trace, name="trace"),
    path("console/prices", ledger.prices, name="prices"),
    path("console/new-price", ledger.price_new, name="price_new"),
    path("console/price-preview", ledger.price_preview, name="price_preview"),
    path("console/price-again", ledger.price_again, name="price_again"),
    path("console/prices/<str:price_id>", ledger.price, name="price"),
    path("console/prices/<str:price_id>/delete", ledger.price_delete, name="price_delete"),
    path("console/invoice", ledger.invoice, name="invoice"),
    path("console/alerts", alerts.alerts, name="alerts"),
    path("console/new-alert", alerts.alert_new, name="alert_new"),
    path("console/preview-alert", alerts.alert_preview, name="alert_preview"),
    path("console/alerts/<str:alert_id>", alerts.alert, name="alert"),
    path("console/alerts/<str:alert_id>/mute", alerts.alert_mute, name="alert_mute"),
    path("console/alerts/<str:alert_id>/delete", alerts.alert_delete, name="alert_delete"),
    path("console/alert-history", alerts.alert_history, name="alert_history"),
    path("console/alert-channels", alerts.alert_channels, name="alert_channels"),
    path("console/new-alert-channel", alerts.alert_channel_new, name="alert_channel_new"),
    path("console/alert-channels/<str:name>", alerts.alert_channel, name="alert_channel"),
    path("console/alert-channels/<str:name>/test", alerts.alert_channel_test, name="alert_channel_test"),
    path("console/alert-channels/<str:name>/delete", alerts.alert_channel_delete, name="alert_channel_delete"),
    path("console/virtual-keys", keys.virtual_keys, name="virtual_keys"),
    path("console/new-virtual-key", keys.virtual_key_new, name="virtual_key_new"),
    path("console/virtual-keys/<str:slug>", keys.virtual_key, name="virtual_key"),
    path("console/virtual-keys/<str:slug>/delete", keys.virtual_key_delete, name="virtual_key_delete"),
    path("console/virtual-keys/<str:slug>/pause", key_pages.virtual_key_pause, name="virtual_key_pause"),
    path("console/virtual-keys/<str:slug>/test", key_pages.virtual_key_test, name="virtual_key_test"),
    path("console/api-keys/<str:key_id>", key_pages.api_key, name="api_key"),
    path("console/api-keys/<str:key_id>/rotate", key_pages.api_key_rotate, name="api_key_rotate"),
    path("console/api-keys", keys.api_keys, name="api_keys"),
    path("console/new-api-key", keys.api_key_new, name="api_key_new"),
    path("console/api-keys/<str:key_id>/revoke", keys.api_key_revoke, name="api_key_revoke"),
    path("console/configs", configs.configs, name="configs"),
    path("console/new-config", configs.config_new, name="config_new"),
    path("console/check-config", configs.config_check, name="config_check"),
    path("console/convert-config", configs.config_convert, name="config_convert"),
    path("console/dry-run", configs.config_dry_run, name="config_dry_run"),
    path("console/configs/<str:slug>", configs.config, name="config"),
    path("console/configs/<str:slug>/breakers", configs.config_breakers, name="config_breakers"),
    path("console/configs/<str:slug>/delete", configs.config_delete, name="config_delete"),
    path("console/configs/<str:slug>/versions", versions.config_history, name="config_history"),
    path("console/configs/<str:slug>/versions/<int:number>", versions.config_version, name="config_version"),
    path("console/configs/<str:slug>/versions/<int:number>/restore", versions.config_restore, name="config_restore"),
    path("console/configs/<str:slug>/diff", versions.config_diff, name="config_diff"),
    path("console/configs/<str:slug>/labels", versions.config_label, name="config_label"),
    path("console/configs/<str:slug>/labels/<str:name>/delete", versions.config_label_delete, name="config_label_delete"),
]
