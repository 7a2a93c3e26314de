"""Where each address leads."""

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.views import LogoutView
from django.urls import include, path, re_path
from django.views.decorators.csrf import csrf_exempt
from django.views.i18n import set_language

from dispatcher import api_pages, error_pages, health, login_throttle, sign_in, system_page
from subscriptions.pages.projects import ProjectListPage
from subscriptions.pages.public_catalogue import public_catalogue, public_event_type

admin.autodiscover()  # here, as workers show no pages: they would be 15 MB of each

urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("api/v1/openapi.json", api_pages.Document.as_view(), name="api-document"),
    path("api/v1/docs", api_pages.Page.as_view(), name="api-docs"),
    path("api/v1/", include("deliveries.urls")),  # first: nothing is called as often
    path("api/v1/", include("subscriptions.urls")),
    re_path(r"^api/", csrf_exempt(error_pages.unknown_route)),
    path("admin/login/", login_throttle.login),
    path("admin/system/", admin.site.admin_view(system_page.system), name="system-page"),
    path("admin/system/audit", admin.site.admin_view(system_page.run_audit), name="system-audit"),
    path("admin/", admin.site.urls),
    path("", sign_in.home),
    path("sign-in", sign_in.SignIn.as_view(), name="sign-in"),
    path("sign-out", LogoutView.as_view(), name="sign-out"),
    path("language", set_language, name="set_language"),
    path("projects", ProjectListPage.as_view(), name="projects-page"),
    path("catalogue/<slug:project>", public_catalogue, name="public-catalogue"),
    path("catalogue/<slug:project>/<path:name>", public_event_type, name="public-event-type"),
    path("projects/<slug:project>/", include("subscriptions.pages.urls")),
    path("projects/<slug:project>/", include("deliveries.pages.urls")),
]
if settings.DISPATCHER_EMBEDDED:
    urlpatterns.append(path("demo/", include("dispatcher.demo.urls")))

handler400 = error_pages.bad_request
handler500 = error_pages.server_error
