"""The API's OpenAPI document, made from the code."""
