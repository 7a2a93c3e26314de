"""A sender in a network of its own, in which every address answers: `python -m tests.walled`.

Two network namespaces with a cable between: in one the real engine sends, in the other one machine
answers as all of IPv4 and IPv6, and writes down whom each packet was for. Needs Linux and root.
"""
