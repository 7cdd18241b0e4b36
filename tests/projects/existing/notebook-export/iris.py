#!/usr/bin/env python
# coding: utf-8

# # Iris

# In[1]:


get_ipython().run_line_magic('matplotlib', 'inline')
import matplotlib.pyplot as plt
import pandas as pd
from sklearn.neighbors import KNeighborsClassifier


# In[2]:


df = pd.read_csv('iris.csv')
df.head()


# In[3]:


plt.scatter(df['petal_length'], df['petal_width'])
plt.show()


# In[4]:


knn = KNeighborsClassifier(n_neighbors=3)
knn.fit(df[['petal_length', 'petal_width']], df['species'])
knn.score(df[['petal_length', 'petal_width']], df['species'])
