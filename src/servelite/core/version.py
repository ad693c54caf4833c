"""The version of servelite."""

VERSION = "0.1.0"
