"""What `manage.py up` shows on its first start: a project, deliveries, and an inbox for them."""
