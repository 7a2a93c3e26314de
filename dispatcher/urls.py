"""Where each address leads."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path, re_path
from django.views.decorators.csrf import csrf_exempt

from dispatcher import error_pages, health, login_throttle

urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("api/v1/", include("subscriptions.urls")),
    path("api/v1/", include("deliveries.urls")),
    re_path(r"^api/", csrf_exempt(error_pages.unknown_route)),
    path("admin/login/", login_throttle.login),
    path("admin/", admin.site.urls),
]
if settings.DISPATCHER_EMBEDDED:
    urlpatterns.append(path("demo/", include("dispatcher.demo.urls")))

handler400 = error_pages.bad_request
handler500 = error_pages.server_error
