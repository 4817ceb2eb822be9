set -e
cat > "$ORCHESTRATOR_OUTCOME" <<'END_OF_FILE'
{"status": "done", "summary": "Two criteria", "document": {"criteria": [
  {"sentence": "A note is kept: it can be created, read, changed and deleted", "words": "keeps notes"},
  {"sentence": "A note has a title and a text", "words": "a title and a text"}
]}}
END_OF_FILE
