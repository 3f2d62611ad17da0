"""The users of Locust: who asks, what they ask, how many there are when, and what came of it.

``loadtests/locustfile.py`` puts them together. Importing Locust changes the standard library of the
process (gevent), so only :mod:`.user`, :mod:`.shapes`, :mod:`.arguments`, :mod:`.recorder` and the
locustfile do; the rest may be imported anywhere.
"""
