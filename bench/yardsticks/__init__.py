"""What the product is compared with: part of its work, bare; and all of it, the usual way."""
