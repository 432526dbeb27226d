"""Processes, process trees and control groups."""
