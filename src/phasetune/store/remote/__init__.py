"""Results on an object store: what is there is the truth, and each machine works on a copy of it.

Everything else in this program knows folders alone. A results root at a URI has a *mirror*: a
folder on this machine, found again by the URI, through which all of that goes on as ever. The one
durable write (`store/durable.py`) tells the mirror before it renames anything, and the mirror
uploads it: a folder's manifest or seal last, since there is no rename to make it whole at once.
What another machine may have written is brought before it is read.
"""
