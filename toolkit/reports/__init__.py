"""Run notebooks, render pages, keep the ledger, write the front page."""
