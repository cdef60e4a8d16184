"""How segments begin and end: with pictures that are given, and with frames that one segment hands over to another."""
