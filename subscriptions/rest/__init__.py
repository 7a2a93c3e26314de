"""What every route of the API does alike: keys, rates, problems, pages, preconditions."""
