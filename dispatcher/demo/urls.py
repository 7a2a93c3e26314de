"""Addresses of the demo inbox; part of the site in embedded mode only."""

from django.urls import path

from dispatcher.demo import views

app_name = "demo"
urlpatterns = [
    path("inbox/", views.show_all, name="inbox"),
    path("inbox/<slug:preset>", views.one_preset, name="inbox-of-preset"),
]
