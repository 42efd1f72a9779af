"""A discrete-event simulator of LLM serving: the policies that the engine runs, in virtual time.

``steptime`` how long a step takes, ``kv`` the paged cache, ``worker`` one engine, ``router`` placement, ``cluster`` the
event loop, ``metrics`` and ``report`` figures, ``capacity`` the search for the highest rate.
"""
