"""Google's generateContent, spoken by Gemini (AI Studio and Vertex)."""
