"""The conservation audit: does everything that was matched add up?"""
