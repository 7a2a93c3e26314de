"""The product's name and version, in one place: the User-Agent and the package read them."""

PRODUCT = "webhook-dispatcher"
VERSION = "0.1.0"
