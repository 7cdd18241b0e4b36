from wine_grades.inference import grade

__all__ = ["grade"]
