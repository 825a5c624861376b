"""Compiled modules, devices, and what runs the one on the other. Imports isa only."""
