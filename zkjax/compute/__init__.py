"""Array programs behind a seam: shapes and static constants only, nothing of transcripts."""
