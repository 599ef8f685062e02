"""phased studies"""
